//! The routes of one guest: which of them a path meets, and what all of its
//! requests have in common.

use std::collections::BTreeSet;
use std::sync::Arc;

use opentelemetry_semantic_conventions::attribute;
use percent_encoding::percent_decode_str;

use crate::bus::spans::{method_attribute, simulated_server};
use crate::guest::contract;
use crate::message::is_target;
use crate::telemetry::record::KeyValue;

/// Routes that a guest offers at most.
const ROUTES: usize = 1_000;

/// The routes of a guest, compiled.
#[derive(Clone, Debug)]
pub struct Routes {
    routes: Vec<Route>,
    /// From a path to the routes of that path, one for each method.
    paths: matchit::Router<Vec<(String, u32)>>,
    /// The guest serves requests.
    is_served: bool,
}

/// One route, with what its SERVER spans share.
#[derive(Clone, Debug)]
pub struct Route {
    /// `POST /stock/{item}/reserve`: the span's name.
    pub name: Arc<str>,
    pub method: String,
    /// `/stock/{item}/reserve`: `http.route`.
    pub path: Arc<str>,
    /// Attributes of requests from within the topology.
    pub inner: Arc<[KeyValue]>,
    /// Attributes of requests from outside.
    pub outer: Arc<[KeyValue]>,
    /// The path has no parameters, so `url.path` is among the shared attributes.
    pub fixed: bool,
}

/// What a method and a path meet.
#[derive(Debug, PartialEq, Eq)]
pub enum Match {
    /// A route, or none where the guest takes everything; with the parameters, decoded.
    Found(Option<u32>, Vec<(String, String)>),
    /// The path exists with these methods only; one of its routes.
    WrongMethod(Vec<String>, u32),
    NotFound,
}

impl Match {
    /// The index of the route, if it is one.
    pub const fn route(&self) -> Option<u32> {
        match self {
            Self::Found(route, _) => *route,
            Self::WrongMethod(..) | Self::NotFound => None,
        }
    }

    /// The parameters of the path, decoded.
    pub fn params(&self) -> &[(String, String)] {
        match self {
            Self::Found(_, params) => params,
            Self::WrongMethod(..) | Self::NotFound => &[],
        }
    }

    /// The index of the route and the parameters, if there are any.
    pub fn parts(self) -> (Option<u32>, Vec<(String, String)>) {
        match self {
            Self::Found(route, params) => (route, params),
            Self::WrongMethod(..) | Self::NotFound => (None, Vec::new()),
        }
    }
}

impl Routes {
    /// Those of a guest that serves no requests.
    pub fn unserved() -> Self {
        Self { routes: Vec::new(), paths: matchit::Router::new(), is_served: false }
    }

    /// Whether the guest serves requests.
    pub const fn is_served(&self) -> bool {
        self.is_served
    }

    /// Compiles what a guest said of itself. `service` is its name, for the
    /// attributes; the errors name the routes.
    pub fn new(service: &Arc<str>, routes: Vec<contract::Route>) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        if routes.len() > ROUTES {
            errors.push(format!("{} routes are more than {ROUTES}", routes.len()));
        }
        let mut paths: Vec<(String, Vec<(String, u32)>)> = Vec::new();
        let mut seen = BTreeSet::new();
        for (index, route) in routes.iter().enumerate().take(ROUTES) {
            let name = format!("{} {}", route.method, route.path);
            if !is_method(&route.method) || !is_path(&route.path) {
                errors.push(format!("{name:?} is not a route: it has the form \"POST /path/{{parameter}}\""));
            } else if !seen.insert(name.clone()) {
                errors.push(format!("the route {name:?} is there twice"));
            } else {
                let method = (route.method.clone(), index as u32);
                match paths.iter_mut().find(|(path, _)| *path == route.path) {
                    Some((_, methods)) => methods.push(method),
                    None => paths.push((route.path.clone(), vec![method])),
                }
            }
        }
        let mut router = matchit::Router::new();
        for (path, methods) in paths {
            if let Err(error) = router.insert(path.clone(), methods) {
                errors.push(format!("the path {path:?} cannot be used: {error}"));
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let routes = routes.into_iter().map(|route| Route::new(service, &route)).collect();
        Ok(Self { routes, paths: router, is_served: true })
    }

    /// The routes' names, in the guest's order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.routes.iter().map(|route| &*route.name)
    }

    /// The routes' names, shared.
    pub fn shared(&self) -> Vec<Arc<str>> {
        self.routes.iter().map(|route| Arc::clone(&route.name)).collect()
    }

    pub fn get(&self, index: u32) -> &Route {
        &self.routes[index as usize]
    }

    /// Which route `method` and `path` (percent-encoded, without query) meet.
    pub fn find(&self, method: &str, path: &str) -> Match {
        if self.routes.is_empty() && self.is_served {
            return Match::Found(None, Vec::new());
        }
        let Ok(found) = self.paths.at(path) else { return Match::NotFound };
        let allowing = |method| found.value.iter().find(|(allowed, _)| allowed == method);
        // Who offers GET offers HEAD (RFC 9110, section 9.3.2); the ingress keeps the body back.
        let matched = allowing(method).or_else(|| (method == "HEAD").then(|| allowing("GET")).flatten());
        match matched {
            Some((_, index)) => {
                let params = found.params.iter();
                let params = params.map(|(name, value)| (name.to_owned(), decode(value)));
                Match::Found(Some(*index), params.collect())
            }
            None => {
                let allowed = found.value.iter().map(|(method, _)| method.clone()).collect();
                Match::WrongMethod(allowed, found.value[0].1)
            }
        }
    }
}

impl Route {
    fn new(service: &Arc<str>, route: &contract::Route) -> Self {
        let fixed = !route.path.contains('{');
        let path: Arc<str> = route.path.as_str().into();
        let mut outer = vec![
            method_attribute(&route.method),
            KeyValue::new(attribute::HTTP_ROUTE, Arc::clone(&path)),
            KeyValue::new(attribute::URL_SCHEME, "http"),
        ];
        if fixed {
            outer.push(KeyValue::new(attribute::URL_PATH, Arc::clone(&path)));
        }
        let mut inner = outer.clone();
        inner.extend(simulated_server(service));
        let name = format!("{} {}", route.method, route.path).into();
        let method = route.method.clone();
        Self { name, method, path, inner: inner.into(), outer: outer.into(), fixed }
    }
}

fn is_method(method: &str) -> bool {
    !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase() || b"-_".contains(&byte))
}

/// A path whose parameters are in braces; what cannot be in a URL cannot be in a route.
fn is_path(path: &str) -> bool {
    is_target(&path.replace(['{', '}'], ""))
}

fn decode(value: &str) -> String {
    percent_decode_str(value).decode_utf8_lossy().into_owned()
}
