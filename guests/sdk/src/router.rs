//! Routes, and the functions behind them.

use crate::Error;
use crate::bindings::exports::simhost::service::handler::Route;
use crate::extract::{Context, Json, States};
use crate::handler::{Bound, Endpoint, Handler};
use crate::http::{IntoResponse, Response};
use crate::pattern::Pattern;
use crate::problem::Problem;
use serde::Serialize;
use std::any::TypeId;
use std::rc::Rc;

/// A service: which function answers which method and path. What is wrong with it, such as a malformed route, is
/// reported when the simulator loads the guest, all of it at once.
#[derive(Default)]
pub struct Router {
    routes: Vec<(Pattern, Box<dyn Endpoint>)>,
    catch_all: Option<Box<dyn Endpoint>>,
    states: Rc<States>,
    problems: Vec<Problem>,
}

impl Router {
    /// A router without routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a route, written `METHOD /path`: `POST /stock/{item}/reserve`. `{item}` takes one segment, a last
    /// `{*rest}` all that follows. The simulator answers 404 and 405 for what no route takes.
    ///
    /// A route that is malformed, or takes the same requests as another one, is a problem.
    pub fn route<A: 'static>(mut self, route: &str, handler: impl Handler<A>) -> Self {
        if let Err(why) = self.add(route, Bound::endpoint(handler)) {
            self.problems.push(Problem::new(why));
        }
        self
    }

    /// Adds a route that stands at a key of the configuration, and so is its problem if it cannot be one.
    pub fn configured_route<A: 'static>(mut self, key: &str, route: &str, handler: impl Handler<A>) -> Self {
        if let Err(why) = self.add(route, Bound::endpoint(handler)) {
            self.problems.push(Problem::of(key, why));
        }
        self
    }

    fn add(&mut self, route: &str, endpoint: Box<dyn Endpoint>) -> Result<(), String> {
        let pattern = Pattern::parse(route).map_err(|problem| format!("route `{route}`: {problem}"))?;
        if let Some((other, _)) = self.routes.iter().find(|(other, _)| other.overlaps(&pattern)) {
            return Err(format!("route `{route}`: `{other}` takes the same requests; remove one of them"));
        }
        self.routes.push((pattern, endpoint));
        Ok(())
    }

    /// Sends every request to one function. The service then has no routes: its SERVER spans are named by the
    /// method alone. Routes beside it are a problem.
    pub fn catch_all<A: 'static>(mut self, handler: impl Handler<A>) -> Self {
        self.catch_all = Some(Bound::endpoint(handler));
        self
    }

    /// Shares a value with the handlers, which take it as [`State<T>`](crate::extract::State). There is one value
    /// of each type, and one copy in each worker. A second value of a type is a problem.
    ///
    /// # Panics
    /// Never: nothing is served while a router is built.
    pub fn state<T: 'static>(mut self, value: T) -> Self {
        let states = Rc::get_mut(&mut self.states).expect("nothing is served while the router is built");
        if states.insert(TypeId::of::<T>(), Rc::new(value)).is_some() {
            let message = format!("there are two states of type `{}`", std::any::type_name::<T>());
            self.problems.push(Problem::new(message).remedy("give each a type of its own"));
        }
        self
    }

    pub(crate) fn states(&self) -> Rc<States> {
        self.states.clone()
    }

    /// All that is wrong with it, what is missing included.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = self.problems.clone();
        if let (Some(_), Some((pattern, _))) = (&self.catch_all, self.routes.first()) {
            let message =
                format!("route `{pattern}`: a catch-all takes every request, so there can be no routes");
            problems.push(Problem::new(message));
        }
        for (pattern, endpoint) in &self.routes {
            if let Some(missing) = endpoint.missing_state(&self.states) {
                let message = format!("route `{pattern}`: its handler takes `State<{missing}>`");
                problems.push(Problem::new(message).remedy("add it with `Router::state`"));
            }
        }
        problems
    }

    /// What the simulator asks for when it loads the guest.
    pub(crate) fn describe(&self) -> Vec<Route> {
        self.routes.iter().map(|(pattern, _)| pattern.into()).collect()
    }

    pub(crate) fn dispatch(&self, route: Option<u32>, context: &Context) -> Response {
        let endpoint = match route {
            Some(index) => self.routes.get(index as usize).map(|(_, endpoint)| endpoint),
            None => self.catch_all.as_ref(),
        };
        match endpoint {
            Some(endpoint) => endpoint.respond(context),
            None => Error::not_found("Not Found").into_response(),
        }
    }
}

/// A handler for `GET /health`: 200 with `{"status":"ok"}`.
pub fn health() -> Json<impl Serialize> {
    #[derive(Serialize)]
    struct Health {
        status: &'static str,
    }
    Json(Health { status: "ok" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::{Path, Query, State};
    use crate::http::{Headers, Request};
    use serde::Deserialize;
    use std::cell::Cell;

    /// Serves a request as the simulator would, which does the matching itself.
    fn serve(
        router: &Router,
        route: u32,
        params: &[(&str, &str)],
        target: &str,
        body: &str,
    ) -> (u16, String) {
        assert!(router.problems().is_empty());
        let params = params.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let request = Request::new("POST", target).body(body);
        let response = router.dispatch(Some(route), &Context::of(request, params, router.states()));
        (response.status(), response.text())
    }

    #[derive(Deserialize)]
    struct Order {
        item: String,
        quantity: i64,
    }

    fn create(Json(order): Json<Order>) -> Result<(u16, String), Error> {
        if order.quantity == 0 { Err(Error::conflict("nothing")) } else { Ok((201, order.item)) }
    }

    fn orders() -> Router {
        Router::new().route("GET /health", health).route("POST /orders", create)
    }

    #[test]
    fn a_handler_gets_its_arguments_and_gives_its_response() {
        assert_eq!(serve(&orders(), 0, &[], "/", ""), (200, r#"{"status":"ok"}"#.into()));
        assert_eq!(serve(&orders(), 1, &[], "/", r#"{"item":"book","quantity":2}"#), (201, "book".into()));
        let conflict = serve(&orders(), 1, &[], "/", r#"{"item":"book","quantity":0}"#);
        assert_eq!(conflict, (409, r#"{"detail":"nothing"}"#.into()));
    }

    #[test]
    fn malformed_json_is_400_and_json_of_another_shape_422_with_the_field() {
        let answer = |body| serve(&orders(), 1, &[], "/", body);
        assert_eq!(answer("{\"item\":").0, 400);
        assert_eq!(answer("").0, 400);
        assert_eq!(answer(r#"{"item":"book","quantity":2} more"#).0, 400);
        let (status, detail) = answer(r#"{"item":"book"}"#);
        assert!(status == 422 && detail.contains("`quantity`"), "{status} {detail}");
        let (status, detail) = answer(r#"{"item":"book","quantity":"two"}"#);
        assert!(status == 422 && detail.contains("quantity: invalid type"), "{status} {detail}");
    }

    #[test]
    fn four_arguments_of_all_kinds_arrive_in_any_order() {
        #[derive(Deserialize)]
        struct Page {
            size: Option<u8>,
        }
        fn all(
            Path((item, number)): Path<(String, u32)>,
            State(served): State<Cell<u32>>,
            Query(page): Query<Page>,
            headers: Headers,
        ) -> String {
            served.set(served.get() + 1);
            format!("{item} {number} {} {:?} {}", served.get(), page.size, headers.iter().count())
        }
        let router = Router::new().state(Cell::new(0_u32)).route("POST /a/{item}/{number}", all);
        let params = [("item", "a b"), ("number", "7")];
        assert_eq!(serve(&router, 0, &params, "/a/a%20b/7?size=9", ""), (200, "a b 7 1 Some(9) 0".into()));
        assert_eq!(serve(&router, 0, &params, "/a/a%20b/7", ""), (200, "a b 7 2 None 0".into()));
        let (status, detail) = serve(&router, 0, &params, "/a/a%20b/7?size=many", "");
        assert!(status == 400 && detail.contains("size"), "{status} {detail}");
        let (status, detail) = serve(&router, 0, &[("item", "a"), ("number", "x")], "/a/a/x", "");
        assert!(status == 400 && detail.contains("number"), "{status} {detail}");
    }

    #[test]
    fn everything_that_is_wrong_is_found_when_the_guest_is_loaded() {
        let router = Router::new()
            .route("GET /a/{x}", health)
            .route("POST /a/{x}", health)
            .route("GET /a/{y}", health)
            .route("orders", health)
            .configured_route("show.route", "items", health)
            .route("GET /b", |State(_): State<u8>| ())
            .state(1_u16)
            .state(2_u16)
            .catch_all(health);
        let problems: Vec<_> = router.problems().iter().map(crate::config::described).collect();
        let expected = [
            "route `GET /a/{y}`: `GET /a/{x}` takes the same requests",
            "route `orders`: write it as `METHOD /path`",
            "config.show.route: route `items`: write it as `METHOD /path`",
            "there are two states of type `u16`",
            "route `GET /a/{x}`: a catch-all takes every request",
            "route `GET /b`: its handler takes `State<u8>`",
        ];
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
        for (problem, start) in problems.iter().zip(expected) {
            assert!(problem.starts_with(start), "{problem}: {start}");
        }
        assert!(orders().problems().is_empty());
    }
}
