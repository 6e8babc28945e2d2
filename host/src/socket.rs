//! A client's connection, below the HTTP library: whether the client still takes what
//! it is sent, and what the library answers by itself.
//!
//! What is no HTTP/1.1 the library refuses on its own, with an empty body. A client
//! should read why, so such an answer gets a body here.

pub mod body;

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Sleep;

/// A client that was refused in the middle of its request has this long to read the
/// answer, while the rest of its request is thrown away: a connection that is closed
/// with bytes unread takes the answer with it (RFC 9112, section 9.6).
const LINGER: Duration = Duration::from_secs(1);

/// Bytes of such a rest.
const LEFTOVER: usize = 4 << 20;

/// The first bytes of every connection of HTTP/2: no request of HTTP/1.1 that is
/// answered is longer and begins like it (RFC 9113, section 3.4).
const PREFACE: u64 = 24;

/// The system gives no more connections: after this long it is asked again.
const PAUSE: Duration = Duration::from_millis(50);

/// Why connections cannot be accepted, once they cannot be.
#[derive(Clone, Debug, Default)]
pub struct Shortage(watch::Sender<Option<String>>);

impl Shortage {
    /// Ends when a connection could not be accepted for the first time; with the reason.
    pub fn noticed(&self) -> impl Future<Output = String> + use<> {
        let mut told = self.0.subscribe();
        async move {
            let reason = told.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
            match reason {
                Some(reason) => reason,
                None => std::future::pending().await,
            }
        }
    }
}

/// The next connection. Where the system has no file descriptor for it, some of the open
/// ones have to end first: it waits.
pub async fn accept(listener: &TcpListener, shortage: &Shortage) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // The client has gone already.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                shortage.0.send_if_modified(|reason| {
                    let is_first = reason.is_none();
                    reason.get_or_insert_with(|| error.to_string());
                    is_first
                });
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// What is known of a connection; its socket and its requests tell.
#[derive(Debug, Default)]
pub struct Line {
    read: AtomicU64,
    written: AtomicU64,
    /// The client's system takes nothing more.
    is_blocked: AtomicBool,
    /// A request has come.
    is_asked: AtomicBool,
    /// The next head is an answer of ours.
    is_answered: AtomicBool,
    /// A request was answered before all of it was read.
    is_cut: AtomicBool,
}

impl Line {
    /// A request has come.
    pub fn asked(&self) {
        self.is_asked.store(true, Ordering::Relaxed);
    }

    /// An answer of ours is about to be written.
    pub fn answered(&self) {
        self.is_answered.store(true, Ordering::Relaxed);
    }

    /// The answer comes before all of the request was read.
    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
    }

    /// Whether an answer is on its way to the client.
    pub fn is_writing(&self) -> bool {
        self.is_answered.load(Ordering::Relaxed) || self.is_blocked.load(Ordering::Relaxed)
    }

    /// Ends when the client has not said for `patience` which HTTP it speaks, or has
    /// taken nothing for so long of what waits for it; at the latest after twice that time.
    pub async fn stuck(&self, patience: Duration) {
        let mut before = None;
        loop {
            tokio::time::sleep(patience).await;
            if !self.is_asked.load(Ordering::Relaxed) && self.read.load(Ordering::Relaxed) < PREFACE {
                return;
            }
            let is_blocked = self.is_blocked.load(Ordering::Relaxed);
            let now = is_blocked.then(|| self.written.load(Ordering::Relaxed));
            if now.is_some() && now == before {
                return;
            }
            before = now;
        }
    }
}

/// The body of an answer that the library gives by itself, as JSON, by its status.
pub type Explain = fn(u16) -> Vec<u8>;

/// A socket that keeps its [`Line`].
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    line: Arc<Line>,
    explain: Explain,
    /// What goes out in place of the library's own answer.
    instead: Option<Vec<u8>>,
    linger: Option<Linger>,
}

#[derive(Debug)]
struct Linger {
    until: Pin<Box<Sleep>>,
    left: usize,
}

impl Socket {
    pub fn new(stream: TcpStream, line: Arc<Line>, explain: Explain) -> Self {
        Self { stream, line, explain, instead: None, linger: None }
    }

    /// What is to go out in place of `bytes`, if they are an answer of the library's own.
    fn replacement(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        if !bytes.starts_with(b"HTTP/1.") || self.line.is_answered.swap(false, Ordering::Relaxed) {
            return None;
        }
        const EMPTY: &str = "content-length: 0\r\n";
        let head = str::from_utf8(bytes).ok().filter(|head| head.ends_with("\r\n\r\n"))?;
        let status = head.get(9..12)?.parse().ok().filter(|status| (400..500).contains(status))?;
        if head.matches(EMPTY).count() != 1 || head.matches("\r\n\r\n").count() != 1 {
            return None;
        }
        self.line.cut();
        let body = (self.explain)(status);
        let fields = format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
        let mut answer = head.replacen(EMPTY, &fields, 1).into_bytes();
        answer.extend(body);
        Some(answer)
    }

    /// Writes what goes out instead, to its end.
    fn poll_instead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.instead.as_mut().filter(|rest| !rest.is_empty()) {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            rest.drain(..written);
        }
        self.instead = None;
        Poll::Ready(Ok(()))
    }

    fn note(&self, written: &Poll<io::Result<usize>>) {
        self.line.is_blocked.store(written.is_pending(), Ordering::Relaxed);
        if let Poll::Ready(Ok(written)) = written {
            self.line.written.fetch_add(*written as u64, Ordering::Relaxed);
        }
    }

    /// Throws away what is left of a request that was refused, until the client closes
    /// the connection or its time is up.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let linger = self
            .linger
            .get_or_insert_with(|| Linger { until: Box::pin(tokio::time::sleep(LINGER)), left: LEFTOVER });
        let mut bytes = [0; 8 << 10];
        while linger.left > 0 {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    linger.left = linger.left.saturating_sub(buffer.filled().len());
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return linger.until.as_mut().poll(context),
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.line.read.fetch_add((buffer.filled().len() - before) as u64, Ordering::Relaxed);
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.instead.is_none() {
            self.instead = self.replacement(bytes);
        }
        let written = if self.instead.is_some() {
            self.poll_instead(context).map_ok(|()| bytes.len())
        } else {
            Pin::new(&mut self.stream).poll_write(context, bytes)
        };
        self.note(&written);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        if self.line.is_cut.load(Ordering::Relaxed) {
            ready!(self.poll_linger(context));
        }
        Poll::Ready(Ok(()))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A head without a body is one slice.
        if let [head] = slices {
            return self.poll_write(context, head);
        }
        if slices.first().is_some_and(|head| head.starts_with(b"HTTP/1.")) {
            self.line.is_answered.store(false, Ordering::Relaxed);
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note(&written);
        written
    }
}
