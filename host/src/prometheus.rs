//! The Prometheus endpoint: who scrapes it gets the metrics of this instant.
//!
//! It is HTTP/1.1 on a port of its own, off unless `OTEL_METRICS_EXPORTER` names `prometheus`.
//!
//! | request | answer |
//! |---|---|
//! | `GET /metrics` | all services; `job` and `instance` tell their replicas apart |
//! | `GET /metrics/SERVICE` | one service, or one load with spans, with the same labels |
//! | `GET /metrics/SERVICE/REPLICA` | one replica, without these labels; 503 while its process is down |
//! | `GET /sd` | a target for each process that is deployed, for `http_sd_configs` |
//!
//! Formats and names are in [`text`] and [`names`], and what a page cannot have in [`clash`]. The core is
//! asked for a [`Snapshot`] at most every [`FRESH`], however often somebody scrapes.

pub mod clash;
mod family;
pub mod names;
pub mod text;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State as Shared};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use opentelemetry_semantic_conventions::attribute;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use crate::clock::Stopwatch;
use crate::control;
use crate::metrics::Snapshot;
use crate::socket::Shortage;
use crate::telemetry::record::{MetricRecord, Resource, ResourceId};

use clash::Clashes;
use text::{Format, Page};

/// A snapshot that is younger than this answers a scrape: the core makes no other meanwhile.
const FRESH: Duration = Duration::from_millis(100);

/// Pages that somebody still reads take this together, and one page more: bytes. Further scrapes are
/// refused.
const PAGES_BYTES: usize = 64 << 20;

/// Where the core is to leave a snapshot.
pub type Query = oneshot::Sender<Snapshot>;

/// The open port.
#[derive(Debug)]
pub struct Endpoint {
    /// Where it really listens: the port is chosen by the system if it was 0.
    pub address: SocketAddr,
    answered: Arc<AtomicU64>,
}

/// A snapshot, and the pages that were made of it.
#[derive(Debug)]
struct Scraped {
    of: Snapshot,
    pages: Mutex<BTreeMap<(View, Format), Bytes>>,
}

/// Whose metrics a page has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum View {
    All,
    Service(String),
    Replica(ResourceId),
}

struct RouterState {
    core: mpsc::Sender<Query>,
    resources: Arc<[Resource]>,
    clashes: Arc<Clashes>,
    /// All processes, by service or load, in the order of their numbers. Some are not deployed yet.
    processes: BTreeMap<Arc<str>, Vec<ResourceId>>,
    /// Scrapes that were answered with metrics.
    answered: Arc<AtomicU64>,
    /// Bytes of the pages that there are.
    held: Arc<AtomicUsize>,
    /// The last snapshot and its age. Who waits for a new one lets others wait for it too.
    last: tokio::sync::Mutex<Option<(Stopwatch, Arc<Scraped>)>>,
}

impl Endpoint {
    /// Serves on `listener` as long as the runtime does, within which it has to be called. `processes`
    /// are the Resources of all that may ever be there, in their order. What pages cannot have is added
    /// to `clashes`.
    ///
    /// # Errors
    /// The socket has no local address.
    pub fn open(
        listener: TcpListener,
        resources: &Arc<[Resource]>,
        processes: impl Iterator<Item = ResourceId>,
        clashes: Arc<Clashes>,
        shortage: Shortage,
    ) -> std::io::Result<(Self, mpsc::Receiver<Query>)> {
        let address = listener.local_addr()?;
        let (core, queries) = mpsc::channel(1);
        let mut by_service: BTreeMap<Arc<str>, Vec<ResourceId>> = BTreeMap::new();
        for process in processes {
            let service = &resources[process.0 as usize].service;
            by_service.entry(Arc::clone(service)).or_default().push(process);
        }
        let (resources, answered) = (Arc::clone(resources), Arc::<AtomicU64>::default());
        let state = RouterState {
            core,
            resources,
            clashes,
            processes: by_service,
            answered: Arc::clone(&answered),
            held: Arc::default(),
            last: tokio::sync::Mutex::default(),
        };
        tokio::spawn(control::accept(listener, router(Arc::new(state)), shortage, explain));
        Ok((Self { address, answered }, queries))
    }

    /// How many scrapes were answered with metrics so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }
}

fn router(state: Arc<RouterState>) -> Router {
    let unknown =
        || async { plain(StatusCode::NOT_FOUND, "there is nothing at this path: see /metrics and /sd\n") };
    Router::new()
        .route("/metrics", get(all))
        .route("/metrics/{service}", get(of_service))
        .route("/metrics/{service}/{replica}", get(of_replica))
        .route("/sd", get(targets))
        .fallback(unknown)
        .with_state(state)
}

async fn all(Shared(state): Shared<Arc<RouterState>>, headers: HeaderMap) -> Response {
    state.answer(View::All, &headers).await
}

async fn of_service(
    Shared(state): Shared<Arc<RouterState>>,
    Path(service): Path<String>,
    headers: HeaderMap,
) -> Response {
    if !state.processes.contains_key(&*service) {
        return plain(StatusCode::NOT_FOUND, "no service has this name: see /sd\n");
    }
    state.answer(View::Service(service), &headers).await
}

async fn of_replica(
    Shared(state): Shared<Arc<RouterState>>,
    Path((service, replica)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let processes = state.processes.get(&*service);
    let number = replica.parse::<usize>().ok();
    match processes.zip(number).and_then(|(processes, number)| processes.get(number)) {
        Some(resource) => state.answer(View::Replica(*resource), &headers).await,
        None => unknown_replica(),
    }
}

/// A target of `http_sd_configs`.
#[derive(Serialize)]
struct Target {
    targets: [String; 1],
    labels: BTreeMap<&'static str, String>,
}

async fn targets(Shared(state): Shared<Arc<RouterState>>, headers: HeaderMap) -> Response {
    let Some(scraped) = state.snapshot().await else { return over() };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let all = state.processes.iter().flat_map(|(service, processes)| {
        processes.iter().enumerate().map(move |(number, resource)| (service, number, *resource))
    });
    let deployed = all.filter(|(.., resource)| scraped.presence(*resource).is_some());
    let targets = deployed.map(|(service, number, resource)| {
        let resource = &state.resources[resource.0 as usize];
        let labels = BTreeMap::from([
            ("__metrics_path__", format!("/metrics/{service}/{number}")),
            ("job", names::job(resource)),
            ("instance", names::attribute(resource, attribute::SERVICE_INSTANCE_ID)),
        ]);
        Target { targets: [host.to_owned()], labels }
    });
    let targets: Vec<_> = targets.collect();
    let text = serde_json::to_vec(&targets).expect("labels are texts");
    respond(StatusCode::OK, "application/json", text.into())
}

impl RouterState {
    async fn answer(&self, view: View, headers: &HeaderMap) -> Response {
        let Some(scraped) = self.snapshot().await else { return over() };
        if let View::Replica(resource) = view {
            match scraped.presence(resource) {
                Some(true) => {}
                Some(false) => return plain(StatusCode::SERVICE_UNAVAILABLE, "the process is down\n"),
                None => return unknown_replica(),
            }
        }
        let format = Format::accepted(headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()));
        let Some(page) = scraped.page(view, format, self) else {
            return plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "pages that were asked for are not read: read them\n",
            );
        };
        self.answered.fetch_add(1, Ordering::Relaxed);
        respond(StatusCode::OK, format.content_type(), page)
    }

    /// The last snapshot, if it is fresh, or another one; none when the core is gone.
    async fn snapshot(&self) -> Option<Arc<Scraped>> {
        let mut last = self.last.lock().await;
        if let Some((age, scraped)) = &*last
            && age.elapsed() < FRESH
        {
            return Some(Arc::clone(scraped));
        }
        let (query, snapshot) = oneshot::channel();
        self.core.send(query).await.ok()?;
        let scraped = Arc::new(Scraped { of: snapshot.await.ok()?, pages: Mutex::default() });
        *last = Some((Stopwatch::start(), Arc::clone(&scraped)));
        Some(scraped)
    }
}

impl Scraped {
    /// Whether a process can be asked; none of one that is not deployed.
    fn presence(&self, process: ResourceId) -> Option<bool> {
        let known = self.of.processes.iter().find(|(known, _)| *known == process);
        known.map(|(_, is_there)| *is_there)
    }

    /// A page, made once; none when those that there are take too much.
    fn page(&self, view: View, format: Format, state: &RouterState) -> Option<Bytes> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(page) = pages.get(&(view.clone(), format)) {
            return Some(page.clone());
        }
        if state.held.load(Ordering::Relaxed) > PAGES_BYTES {
            return None;
        }
        let is_meant = |record: &&MetricRecord| match &view {
            View::All => true,
            View::Service(name) => *state.resources[record.resource.0 as usize].service == **name,
            View::Replica(resource) => record.resource == *resource,
        };
        let records: Vec<_> = self.of.records.iter().filter(is_meant).collect();
        let is_replica = matches!(view, View::Replica(_));
        let page = Page { records: &records, resources: &state.resources, is_shared: !is_replica };
        let (page, left_out) = page.write(format);
        state.clashes.add(left_out);
        let page = Bytes::from_owner(Held::new(page.into(), &state.held));
        pages.insert((view, format), page.clone());
        Some(page)
    }
}

/// The bytes of a page, which count as long as somebody has them.
struct Held {
    bytes: Vec<u8>,
    all: Arc<AtomicUsize>,
}

impl Held {
    fn new(bytes: Vec<u8>, all: &Arc<AtomicUsize>) -> Self {
        all.fetch_add(bytes.len(), Ordering::Relaxed);
        Self { bytes, all: Arc::clone(all) }
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

/// Why the library refuses a request by itself.
fn explain(_: u16) -> Vec<u8> {
    b"this is not a request of HTTP/1.1: see GET /metrics\n".to_vec()
}

fn over() -> Response {
    plain(StatusCode::SERVICE_UNAVAILABLE, "the run is over\n")
}

fn unknown_replica() -> Response {
    plain(StatusCode::NOT_FOUND, "no replica has this name and number: see /sd\n")
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    respond(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

fn respond(status: StatusCode, kind: &'static str, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_counts_as_long_as_somebody_reads_it() {
        let all = Arc::default();
        let page = Bytes::from_owner(Held::new(vec![0; 10], &all));
        let read = page.slice(4..);
        drop(page);
        assert_eq!(all.load(Ordering::Relaxed), 10);
        drop(read);
        assert_eq!(all.load(Ordering::Relaxed), 0);
    }
}
