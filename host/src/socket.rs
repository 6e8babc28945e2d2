//! A client's connection, below the HTTP library: whether the client still takes what
//! it is sent, and what the library answers by itself.
//!
//! What is no HTTP/1.1 the library refuses on its own, with an empty body. A client
//! should read why, so such an answer gets a body here.

pub mod body;
mod place;

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Sleep;

use place::Place;

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
    /// Answers of ours that have not begun to be written: the bytes of their bodies.
    answers: Mutex<VecDeque<u64>>,
    /// A request was answered before all of it was read.
    is_cut: AtomicBool,
}

impl Line {
    /// A request has come.
    pub fn asked(&self) {
        self.is_asked.store(true, Ordering::Relaxed);
    }

    /// An answer of ours is about to be written, in HTTP/1: its head, and this many bytes of a body.
    pub fn answered(&self, body: u64) {
        self.answers().push_back(body);
    }

    fn answers(&self) -> MutexGuard<'_, VecDeque<u64>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer comes before all of the request was read.
    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
    }

    /// Whether an answer is on its way to the client.
    pub fn is_writing(&self) -> bool {
        !self.answers().is_empty() || self.is_blocked.load(Ordering::Relaxed)
    }

    /// Ends when the client has not said for `patience` which HTTP it speaks, or has
    /// taken nothing of what waits for it in that time; at the latest after twice that time.
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
    /// Where the next byte to the client stands.
    place: Place,
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
        Self { stream, line, explain, place: Place::default(), instead: None, linger: None }
    }

    /// What is to go out in place of `bytes`, if they are an answer of the library's own.
    fn replacement(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let is_ours = self.place != Place::Between || !self.line.answers().is_empty();
        if !bytes.starts_with(b"HTTP/1.") || is_ours {
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

    /// The first of these bytes have been written, as many as `written` says.
    fn advance<'a>(&mut self, slices: impl IntoIterator<Item = &'a [u8]>, written: &Poll<io::Result<usize>>) {
        let Poll::Ready(Ok(mut left)) = *written else { return };
        for slice in slices {
            let (place, line) = (&mut self.place, &self.line);
            place.advance(&slice[..left.min(slice.len())], || line.answers().pop_front());
            left = left.saturating_sub(slice.len());
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
            let written = Pin::new(&mut self.stream).poll_write(context, bytes);
            self.advance([bytes], &written);
            written
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
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.advance(slices.iter().map(|slice| &**slice), &written);
        self.note(&written);
        written
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const EMPTY: &[u8] = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";

    fn explain(status: u16) -> Vec<u8> {
        format!("{status} explained").into_bytes()
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(future)
    }

    /// A socket of ours, and its client's end.
    async fn pair() -> (Socket, Arc<Line>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let client =
            TcpStream::connect(listener.local_addr().expect("an address")).await.expect("it accepts");
        let (stream, _) = listener.accept().await.expect("a connection");
        let line = Arc::<Line>::default();
        (Socket::new(stream, Arc::clone(&line), explain), line, client)
    }

    /// All that the client gets after `socket` is dropped.
    async fn gets(socket: Socket, mut client: TcpStream) -> Vec<u8> {
        drop(socket);
        let mut bytes = Vec::new();
        client.read_to_end(&mut bytes).await.expect("the end");
        bytes
    }

    #[test]
    fn an_empty_answer_of_the_library_gets_a_body() {
        let got = block_on(async {
            let (mut socket, _, client) = pair().await;
            socket.write_all(EMPTY).await.expect("it is written");
            gets(socket, client).await
        });
        assert!(got.ends_with(b"content-length: 13\r\n\r\n404 explained"), "{got:?}");
    }

    #[test]
    fn an_empty_answer_of_ours_stays_as_it_is_when_the_client_is_slow_to_take_it() {
        block_on(async {
            let (mut socket, line, mut client) = pair().await;
            let filler = vec![b'.'; 1 << 20];
            line.answered(u64::MAX);
            let mut written = 0;
            // Until the system takes no more.
            let full = poll_fn(|context| {
                loop {
                    match Pin::new(&mut socket).poll_write(context, &filler) {
                        Poll::Ready(taken) => written += taken.expect("it is written"),
                        Poll::Pending => return Poll::Ready(()),
                    }
                }
            });
            full.await;
            (socket.place, written) = (Place::Between, written);
            line.answered(0);
            let is_pending =
                poll_fn(|context| Poll::Ready(Pin::new(&mut socket).poll_write(context, EMPTY).is_pending()));
            assert!(is_pending.await);
            let mut filled = vec![0; written];
            let (read, sent) = tokio::join!(client.read_exact(&mut filled), socket.write_all(EMPTY));
            read.and(sent.map(|()| 0)).expect("both go on");
            assert_eq!(gets(socket, client).await, EMPTY);
        });
    }

    #[test]
    fn a_body_that_looks_like_an_answer_of_the_library_stays_as_it_is() {
        let head = b"HTTP/1.1 200 OK\r\n\r\n";
        let got = block_on(async {
            let (mut socket, line, client) = pair().await;
            line.answered(EMPTY.len() as u64);
            socket.write_all(head).await.expect("it is written");
            socket.write_all(EMPTY).await.expect("it is written");
            gets(socket, client).await
        });
        assert_eq!(got, [head, EMPTY].concat());
    }
}
