//! The routes of one guest: which of them a path meets, and what all of its
//! requests have in common.

use std::collections::BTreeSet;
use std::sync::Arc;

use indexmap::IndexMap;
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
    /// From a path to the routes that take it, one for each method: what they call its parameters may differ.
    paths: matchit::Router<Vec<Offer>>,
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

/// A method that a path can be asked with.
#[derive(Clone, Debug)]
struct Offer {
    method: String,
    route: u32,
    /// What the route calls the parameters of the path, in their order.
    params: Vec<String>,
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
        let mut shapes: IndexMap<String, Vec<Offer>> = IndexMap::new();
        let mut seen = BTreeSet::new();
        for (index, route) in routes.iter().enumerate().take(ROUTES) {
            let name = format!("{} {}", route.method, route.path);
            if !is_method(&route.method) || !is_path(&route.path) {
                errors.push(format!("{name:?} is not a route: it has the form \"POST /path/{{parameter}}\""));
            } else if !seen.insert(name.clone()) {
                errors.push(format!("the route {name:?} is there twice"));
            } else {
                let (shape, params) = shape(&route.path);
                let offer = Offer { method: route.method.clone(), route: index as u32, params };
                let offers = shapes.entry(shape).or_default();
                match offers.iter().find(|other| other.method == offer.method) {
                    Some(other) => {
                        let other = format!("{} {}", other.method, routes[other.route as usize].path);
                        errors.push(format!("the route {name:?} takes the same requests as {other:?}"));
                    }
                    None => offers.push(offer),
                }
            }
        }
        let mut router = matchit::Router::new();
        for (shape, offers) in shapes {
            let path = &routes[offers[0].route as usize].path;
            if let Err(error) = router.insert(shape, offers) {
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
        let allowing = |method| found.value.iter().find(|offer| offer.method == method);
        // Who offers GET offers HEAD (RFC 9110, section 9.3.2); the ingress keeps the body back.
        let matched = allowing(method).or_else(|| (method == "HEAD").then(|| allowing("GET")).flatten());
        match matched {
            Some(offer) => {
                let values = found.params.iter().map(|(_, value)| decode(value));
                Match::Found(Some(offer.route), offer.params.iter().cloned().zip(values).collect())
            }
            None => {
                let allowed = found.value.iter().map(|offer| offer.method.clone()).collect();
                Match::WrongMethod(allowed, found.value[0].route)
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

/// A path with numbers in place of the names of its parameters, and these names: `/users/{0}`. Two routes of
/// one shape take the same paths. What is no parameter, such as `{{`, stays.
fn shape(path: &str) -> (String, Vec<String>) {
    let (mut shape, mut params, mut rest) = (String::with_capacity(path.len()), Vec::new(), path);
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        shape.push_str(before);
        let name = from.find('}').map(|end| &from[1..end]).filter(|name| !name.starts_with('{'));
        let Some(name) = name else {
            let two = from.len().min(2);
            shape.push_str(&from[..two]);
            rest = &from[two..];
            continue;
        };
        let (mark, plain) = name.strip_prefix('*').map_or(("", name), |plain| ("*", plain));
        // A parameter without a name is refused by the router, which needs to see it.
        let number = if plain.is_empty() { String::new() } else { params.len().to_string() };
        shape.extend(["{", mark, &number, "}"]);
        params.push(plain.to_owned());
        rest = &from[name.len() + 2..];
    }
    shape.push_str(rest);
    (shape, params)
}

fn decode(value: &str) -> String {
    percent_decode_str(value).decode_utf8_lossy().into_owned()
}
