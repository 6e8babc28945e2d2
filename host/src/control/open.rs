//! The open connections of the control API. When there are as many as may be, one that
//! is idle makes room: nobody can hold the API up by being silent.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::Request;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};

use crate::socket::{self, Line, Shortage, Socket};

use super::{PATIENCE, Trouble};

/// Connections at a time; one more takes the place of the one that has been idle for
/// longest, or waits until one is.
pub const CONNECTIONS: usize = 64;

/// Bytes of a request's head.
const HEAD: usize = 16 << 10;

/// A connection, as the others see it.
#[derive(Debug, Default)]
struct Connection {
    is_busy: AtomicBool,
    /// When it became idle, in the order of the [`Crowd`].
    idle_since: AtomicU64,
    leave: Notify,
}

/// All connections.
#[derive(Debug, Default)]
struct Crowd {
    connections: Mutex<Vec<Arc<Connection>>>,
    /// Counts what happens.
    order: AtomicU64,
    /// Somebody waits for a place.
    is_wanted: AtomicBool,
}

impl Crowd {
    fn join(&self) -> Arc<Connection> {
        let connection = Arc::<Connection>::default();
        self.rest(&connection);
        self.lock().push(Arc::clone(&connection));
        connection
    }

    fn part(&self, connection: &Arc<Connection>) {
        self.lock().retain(|other| !Arc::ptr_eq(other, connection));
    }

    /// A connection is idle from now on.
    fn rest(&self, connection: &Connection) {
        let now = self.order.fetch_add(1, Ordering::Relaxed);
        connection.idle_since.store(now, Ordering::Relaxed);
        connection.is_busy.store(false, Ordering::Relaxed);
        if self.is_wanted.load(Ordering::Relaxed) {
            connection.leave.notify_one();
        }
    }

    /// Somebody wants a place: the connection that has been idle for longest leaves, or
    /// the next one that becomes idle.
    fn make_room(&self) {
        self.is_wanted.store(true, Ordering::Relaxed);
        let connections = self.lock();
        let idle = connections.iter().filter(|connection| !connection.is_busy.load(Ordering::Relaxed));
        if let Some(longest) = idle.min_by_key(|connection| connection.idle_since.load(Ordering::Relaxed)) {
            longest.leave.notify_one();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Connection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts connections, [`CONNECTIONS`] at a time. `explain` says why
/// the library refuses a request by itself: the body for a status.
pub async fn accept(listener: TcpListener, router: Router, shortage: Shortage, explain: fn(u16) -> Vec<u8>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let crowd = Arc::<Crowd>::default();
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(PATIENCE).half_close(true).max_buf_size(HEAD);
    loop {
        let (stream, _) = socket::accept(&listener, &shortage).await;
        let slot = match Arc::clone(&slots).try_acquire_owned() {
            Ok(slot) => Ok(slot),
            Err(_) => {
                crowd.make_room();
                Arc::clone(&slots).acquire_owned().await
            }
        };
        crowd.is_wanted.store(false, Ordering::Relaxed);
        let (server, router, crowd) = (server.clone(), router.clone(), Arc::clone(&crowd));
        let connection = crowd.join();
        tokio::spawn(async move {
            serve(stream, &server, (router, explain), &crowd, &connection).await;
            crowd.part(&connection);
            drop(slot);
        });
    }
}

/// Serves one connection to its end, or until it has to leave.
async fn serve(
    stream: TcpStream,
    server: &http1::Builder,
    (router, explain): (Router, fn(u16) -> Vec<u8>),
    crowd: &Arc<Crowd>,
    connection: &Arc<Connection>,
) {
    stream.set_nodelay(true).ok();
    let line = Arc::<Line>::default();
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request: Request<Incoming>| {
        connection.is_busy.store(true, Ordering::Relaxed);
        line.asked();
        let answering = router.call(request);
        let (line, crowd, connection) = (Arc::clone(&line), Arc::clone(crowd), Arc::clone(connection));
        async move {
            let answer = answering.await;
            // Its answers are made as a whole, so their length is known.
            let body = answer.as_ref().ok().and_then(|answer| answer.body().size_hint().exact());
            line.answered(body.unwrap_or(u64::MAX));
            if answer.as_ref().is_ok_and(|answer| answer.status().is_client_error()) {
                line.cut();
            }
            crowd.rest(&connection);
            answer
        }
    });
    let socket = TokioIo::new(Socket::new(stream, Arc::clone(&line), explain));
    let mut serving = std::pin::pin!(server.serve_connection(socket, service));
    tokio::select! {
        // A client that breaks off or talks nonsense is its own affair.
        _ended = serving.as_mut() => return,
        () = line.stuck(PATIENCE) => return,
        () = connection.leave.notified() => {}
    }
    // What is being answered is answered; who is silent is not waited for.
    serving.as_mut().graceful_shutdown();
    if connection.is_busy.load(Ordering::Relaxed) || line.is_writing() {
        tokio::time::timeout(PATIENCE, serving).await.ok();
    }
}

/// Why the library refuses a request by itself.
pub fn explain(status: u16) -> Vec<u8> {
    let (error, help) = match status {
        414 | 431 => (
            format!("the head of a request has at most {HEAD} bytes"),
            "leave out fields that are not needed here",
        ),
        _ => ("this is not a request of HTTP/1.1".to_owned(), "see GET /v1/faults"),
    };
    let trouble = Trouble::new(status, error, help);
    serde_json::to_vec(&trouble).expect("a trouble has only keys that are strings")
}
