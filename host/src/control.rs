//! The control API: faults are switched by hand while a run goes on.
//!
//! It is HTTP/1.1 with JSON on a port of its own, of this machine only, and off
//! unless `--control` asks for it. `docs/control.schema.json` describes what goes
//! over it; `simhost fault` talks to it.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/faults` | [`Listing`]: all faults |
//! | `GET /v1/faults/NAME` | [`State`]: one of them |
//! | `POST /v1/faults/NAME` with an [`Order`] | [`State`]: what has become of it |
//!
//! Whatever is refused is answered with [`Trouble`]. A page that a browser shows
//! has no business here: requests with an `Origin` other than this server are
//! refused, and so are those whose `Host` is no name of this machine, under which
//! a stranger's page could reach it (DNS rebinding).

pub mod client;
mod document;
mod open;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State as Shared};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header, uri::Authority};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http_body_util::{BodyExt as _, Limited};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};

use crate::socket::Shortage;

pub use document::{Document, Listing, Order, State, Trouble};
pub(crate) use open::accept;

/// Requests that wait for the core thread; one more is answered 503.
const WAITING: usize = 256;

/// Bytes of an order.
const BODY: usize = 4 << 10;

/// A client has this long for a request's head, and again for its body.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request on its way to the core thread, and where its answer goes.
#[derive(Debug)]
pub struct Inbound {
    pub query: FaultQuery,
    pub reply: oneshot::Sender<Result<FaultReply, Trouble>>,
}

/// What is asked of the core thread. Faults are called by their names.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultQuery {
    All,
    One(String),
    Change(String, Order),
}

/// What the core thread says.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultReply {
    All(Listing),
    One(Box<State>),
}

/// The open port.
#[derive(Debug)]
pub struct Control {
    /// Where it really listens: the port is chosen by the system if it was 0.
    pub address: SocketAddr,
}

#[derive(Clone)]
struct RouterState {
    core: mpsc::Sender<Inbound>,
    /// Turns true when the run is told to stop.
    stop: watch::Receiver<bool>,
}

impl Control {
    /// Serves on `listener` as long as the runtime does, within which it has to be
    /// called. From when `stop` turns true every request is answered 503.
    ///
    /// # Errors
    /// The socket has no local address.
    pub fn open(
        listener: TcpListener,
        stop: watch::Receiver<bool>,
        shortage: Shortage,
    ) -> std::io::Result<(Self, mpsc::Receiver<Inbound>)> {
        let address = listener.local_addr()?;
        let (core, inbound) = mpsc::channel(WAITING);
        let router = router(RouterState { core, stop });
        tokio::spawn(accept(listener, router, shortage, open::explain));
        Ok((Self { address }, inbound))
    }
}

fn router(state: RouterState) -> Router {
    let unknown = || async { Trouble::new(404, "there is nothing at this path", "see GET /v1/faults") };
    let not_allowed =
        || async { Trouble::new(405, "this method is not allowed here", "use GET, or POST for one fault") };
    Router::new()
        .route("/v1/faults", get(list).fallback(not_allowed))
        .route("/v1/faults/{name}", get(show).post(change).fallback(not_allowed))
        .fallback(unknown)
        .layer(middleware::from_fn_with_state(state.clone(), guard))
        .with_state(state)
}

/// Turns away whoever has no business here, and everybody when the run ends.
async fn guard(Shared(state): Shared<RouterState>, request: Request, next: Next) -> Response {
    if let Err(trouble) = is_from_here(request.headers()) {
        return trouble.into_response();
    }
    if *state.stop.borrow() {
        return ending().into_response();
    }
    next.run(request).await
}

fn ending() -> Trouble {
    Trouble::new(503, "the run is ending", "start it anew to change its faults")
}

/// Whether a request comes from a program of this machine, or from a page of this
/// very server.
fn is_from_here(headers: &HeaderMap) -> Result<(), Trouble> {
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let host = headers.get(header::HOST).map(text).unwrap_or_default();
    let is_local = host.parse::<Authority>().is_ok_and(|authority| is_loopback(authority.host()));
    if !is_local {
        let what = format!("Host {host:?} is no name of this machine");
        return Err(Trouble::new(403, what, "ask 127.0.0.1, [::1] or localhost, with the port"));
    }
    match headers.get(header::ORIGIN).map(text) {
        Some(origin) if origin != format!("http://{host}") => {
            let what = format!("pages of {origin:?} may not change this run");
            Err(Trouble::new(403, what, "use a program of this machine, such as simhost fault"))
        }
        _ => Ok(()),
    }
}

fn is_loopback(host: &str) -> bool {
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    ip.map_or_else(|_| host.eq_ignore_ascii_case("localhost"), |ip| ip.is_loopback())
}

async fn list(Shared(state): Shared<RouterState>) -> Response {
    state.ask(FaultQuery::All).await
}

async fn show(Shared(state): Shared<RouterState>, Path(name): Path<String>) -> Response {
    state.ask(FaultQuery::One(name)).await
}

async fn change(Shared(state): Shared<RouterState>, Path(name): Path<String>, body: Body) -> Response {
    match order(body).await {
        Ok(order) => state.ask(FaultQuery::Change(name, order)).await,
        Err(trouble) => trouble.into_response(),
    }
}

/// Reads an order, within its bounds.
async fn order(body: Body) -> Result<Order, Trouble> {
    const EXAMPLE: &str = "send JSON such as {\"active\": true} or {\"probability\": 0.2}";
    let reading = tokio::time::timeout(PATIENCE, Limited::new(body, BODY).collect());
    let body = match reading.await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return Err(Trouble::new(413, format!("an order has at most {BODY} bytes"), EXAMPLE)),
        Err(_) => return Err(Trouble::new(408, "the order has not come in time", EXAMPLE)),
    };
    let order: Order = serde_json::from_slice(&body)
        .map_err(|error| Trouble::new(400, format!("this is no order: {error}"), EXAMPLE))?;
    order.check()?;
    Ok(order)
}

impl RouterState {
    /// Asks the core thread.
    async fn ask(&self, query: FaultQuery) -> Response {
        let (reply, answered) = oneshot::channel();
        match self.core.try_send(Inbound { query, reply }) {
            Err(mpsc::error::TrySendError::Full(_)) => {
                let what = format!("{WAITING} requests wait for the run already");
                let mut response = Trouble::new(503, what, "ask again after a second").into_response();
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
                return response;
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return ending().into_response(),
            Ok(()) => {}
        }
        match answered.await {
            Ok(Ok(FaultReply::All(listing))) => json(StatusCode::OK, &listing),
            Ok(Ok(FaultReply::One(state))) => json(StatusCode::OK, &state),
            Ok(Err(trouble)) => trouble.into_response(),
            Err(_) => ending().into_response(),
        }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        json(StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &self)
    }
}

fn json(status: StatusCode, document: &impl Serialize) -> Response {
    let mut text = serde_json::to_vec(document).expect("documents have only keys that are strings");
    text.push(b'\n');
    let mut response = Response::new(Body::from(Bytes::from(text)));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(host: &str, origin: Option<&str>) -> Result<(), u16> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().expect("a header"));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().expect("a header"));
        }
        is_from_here(&headers).map_err(|trouble| trouble.status)
    }

    #[test]
    fn only_names_of_this_machine_are_served() {
        for host in ["127.0.0.1:80", "127.8.9.1", "[::1]:8002", "localhost:8002", "LOCALHOST"] {
            assert_eq!(verdict(host, None), Ok(()), "{host}");
        }
        for host in ["", "example.org", "127.0.0.1.example.org:8002", "10.0.0.1", "0.0.0.0", "a b"] {
            assert_eq!(verdict(host, None), Err(403), "{host}");
        }
        assert!(is_from_here(&HeaderMap::new()).is_err());
    }

    #[test]
    fn pages_of_other_servers_are_refused() {
        let own = "127.0.0.1:8002";
        assert_eq!(verdict(own, Some("http://127.0.0.1:8002")), Ok(()));
        for origin in ["http://127.0.0.1:3000", "https://127.0.0.1:8002", "http://example.org", "null", ""] {
            assert_eq!(verdict(own, Some(origin)), Err(403), "{origin}");
        }
    }
}
