//! What a handler takes: every argument is made from the request, and one that cannot be made answers 400 or 422.
//!
//! | argument | gives | fails with |
//! |---|---|---|
//! | [`Json<T>`] | the body | 400 if it is no JSON, 422 if it is not a `T` |
//! | [`Path<T>`] | the path's parameters: one value, a tuple in order, or a struct by name | 400 |
//! | [`Params`] | the path's parameters, whatever they are | |
//! | [`Query<T>`] | the query's fields, as a struct by name | 400 |
//! | [`State<T>`] | what [`Router::state`](crate::Router::state) shares | when the guest is loaded |
//! | [`Headers`], [`Request`] | a copy of the headers, of the whole request | |
//! | [`Baggage`] | the baggage that came along | |
//! | `String`, `Vec<u8>` | the body as it is | 400 if it is not UTF-8 |

use crate::Error;
use crate::bindings::simhost::service::incoming;
use crate::http::{Headers, IntoResponse, Request, Response};
use crate::params::from_pairs;
use crate::percent::parse_query;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::{Any, TypeId, type_name};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The values that handlers share, by their types.
pub type States = BTreeMap<TypeId, Rc<dyn Any>>;

/// The request that is being served, with what is known about it.
///
/// Each part is fetched from the simulator when it is first asked for: what a handler does not take costs nothing.
pub struct Context {
    states: Rc<States>,
    method: OnceCell<String>,
    path_and_query: OnceCell<String>,
    params: OnceCell<Vec<(String, String)>>,
    headers: OnceCell<Headers>,
    body: OnceCell<Vec<u8>>,
}

impl Context {
    /// The request that the simulator wants served.
    pub(crate) const fn incoming(states: Rc<States>) -> Self {
        Self {
            states,
            method: OnceCell::new(),
            path_and_query: OnceCell::new(),
            params: OnceCell::new(),
            headers: OnceCell::new(),
            body: OnceCell::new(),
        }
    }

    /// A request that a test has made.
    #[cfg(test)]
    pub(crate) fn of(request: Request, params: Vec<(String, String)>, states: Rc<States>) -> Self {
        Self {
            states,
            method: request.method().to_owned().into(),
            path_and_query: request.path_and_query().to_owned().into(),
            params: params.into(),
            headers: request.headers().clone().into(),
            body: request.bytes().to_vec().into(),
        }
    }

    /// The values that handlers share.
    pub fn states(&self) -> &States {
        &self.states
    }

    /// The method, in capitals.
    pub fn method(&self) -> &str {
        self.method.get_or_init(incoming::method)
    }

    /// Path and query, percent-encoded as they were sent.
    pub fn path_and_query(&self) -> &str {
        self.path_and_query.get_or_init(incoming::path_and_query)
    }

    /// What follows the `?`, percent-encoded as it was sent; empty if there is none.
    pub fn query(&self) -> &str {
        self.path_and_query().split_once('?').map_or("", |(_, query)| query)
    }

    /// The path's parameters in the order of the path, percent-decoded.
    pub fn params(&self) -> &[(String, String)] {
        self.params.get_or_init(incoming::params)
    }

    /// The headers.
    pub fn headers(&self) -> &Headers {
        self.headers.get_or_init(|| Headers::from(incoming::headers()))
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        self.body.get_or_init(incoming::body)
    }
}

/// What can be an argument of a handler.
pub trait FromContext: Sized {
    /// Makes the argument from the request, or gives the answer to one that it cannot be made from.
    fn from_context(context: &Context) -> Result<Self, Error>;

    /// The type of the shared value that the argument needs and `states` does not hold.
    fn missing_state(_states: &States) -> Option<&'static str> {
        None
    }
}

/// JSON: as an argument the request's body, as a result the response's.
///
/// The content type of a request is not looked at. A response has `application/json`.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromContext for Json<T> {
    fn from_context(context: &Context) -> Result<Self, Error> {
        // Nearly every body is what it should be: where its parts are is asked only of one that is not.
        match serde_json::from_slice(context.body()) {
            Ok(value) => Ok(Self(value)),
            Err(_) => read_closely(context.body()).map(Self),
        }
    }
}

/// Reads JSON as a `T`, or says where it is none.
#[cold]
fn read_closely<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        if !error.is_data() {
            return malformed(&error);
        }
        // A missing field is named by the error itself, and has no path: it is not there.
        let place = if path == "." { String::new() } else { format!("{path}: ") };
        Error::unprocessable(format!("{place}{error}"))
    })?;
    json.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> Error {
    Error::bad_request(format!("malformed JSON: {error}"))
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        Response::from_json(200, &self.0)
    }
}

/// The path's parameters, percent-decoded: `Path(item): Path<String>` for one, `Path((item, number)): Path<(String,
/// u32)>` for several in order, a struct by name.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned> FromContext for Path<T> {
    fn from_context(context: &Context) -> Result<Self, Error> {
        let value = from_pairs(context.params());
        value.map(Self).map_err(|error| Error::bad_request(format!("path: {error}")))
    }
}

/// The path's parameters in the order of the path, percent-decoded: for a handler that serves several routes.
pub struct Params(pub Vec<(String, String)>);

impl Params {
    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

impl FromContext for Params {
    fn from_context(context: &Context) -> Result<Self, Error> {
        Ok(Self(context.params().to_vec()))
    }
}

/// The query's fields by name: `Query(page): Query<Page>`. A field that may be absent is an `Option`.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromContext for Query<T> {
    fn from_context(context: &Context) -> Result<Self, Error> {
        let value = from_pairs(&parse_query(context.query()));
        value.map(Self).map_err(|error| Error::bad_request(format!("query: {error}")))
    }
}

/// The value that [`Router::state`](crate::Router::state) shares with every handler of this worker.
pub struct State<T>(pub Rc<T>);

impl<T: 'static> FromContext for State<T> {
    fn from_context(context: &Context) -> Result<Self, Error> {
        let state = context.states().get(&TypeId::of::<T>()).cloned();
        let state = state.and_then(|state| state.downcast().ok());
        Ok(Self(state.expect("the router was checked when the guest was loaded")))
    }

    fn missing_state(states: &States) -> Option<&'static str> {
        (!states.contains_key(&TypeId::of::<T>())).then(type_name::<T>)
    }
}

/// The baggage that came with the request, and that goes out with its calls. See also [`baggage`](crate::baggage).
pub struct Baggage(());

impl Baggage {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<String> {
        crate::baggage::get(key)
    }

    /// Sets a value for the calls that follow.
    pub fn set(&self, key: &str, value: &str) {
        crate::baggage::set(key, value);
    }
}

impl FromContext for Baggage {
    fn from_context(_context: &Context) -> Result<Self, Error> {
        Ok(Self(()))
    }
}

impl FromContext for Headers {
    fn from_context(context: &Context) -> Result<Self, Error> {
        Ok(context.headers().clone())
    }
}

impl FromContext for Request {
    fn from_context(context: &Context) -> Result<Self, Error> {
        let mut request = Request::new(context.method(), context.path_and_query()).body(context.body());
        *request.headers_mut() = context.headers().clone();
        Ok(request)
    }
}

impl FromContext for Vec<u8> {
    fn from_context(context: &Context) -> Result<Self, Error> {
        Ok(context.body().to_vec())
    }
}

impl FromContext for String {
    fn from_context(context: &Context) -> Result<Self, Error> {
        let body = Vec::from_context(context)?;
        String::from_utf8(body).map_err(|error| Error::bad_request(format!("the body is not text: {error}")))
    }
}
