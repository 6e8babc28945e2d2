//! HTTP/2, by a client of its own: many streams on one connection, and floods of frames.

use std::io::Write as _;
use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::Request;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::support::server::Server;
use crate::support::{PATIENCE, Topology, cost};

/// What a run has of its own, and what its budgets allow beside: bytes. Without a bound
/// each of the attacks below would take a multiple.
const MEMORY: u64 = 400 << 20;

const BODIES: &str = "bodies = \"16MiB\"";

/// A connection and what moves it; the second ends with the connection.
struct Client {
    sender: SendRequest<Bytes>,
    ended: JoinHandle<()>,
}

impl Client {
    async fn connect(address: SocketAddr, window: u32) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(window).initial_max_send_streams(256);
        // What is left unread of one answer keeps nothing of another away.
        builder.initial_connection_window_size(4 << 20);
        let (sender, connection) = builder.handshake(stream).await.expect("it speaks HTTP/2");
        let ended = tokio::spawn(async move {
            connection.await.ok();
        });
        Self { sender, ended }
    }

    /// Begins a request.
    async fn post(&mut self, path: &str) -> (h2::client::ResponseFuture, SendStream<Bytes>) {
        let mut sender = self.sender.clone().ready().await.expect("there is room for a stream");
        let request = Request::post(format!("http://a{path}")).body(()).expect("a request");
        sender.send_request(request, false).expect("it is sent")
    }

    /// A whole request; its answer's head, and its body.
    async fn get(&mut self, path: &str) -> (u16, RecvStream) {
        let mut sender = self.sender.clone().ready().await.expect("there is room for a stream");
        let request = Request::get(format!("http://a{path}")).body(()).expect("a request");
        let (answer, _) = sender.send_request(request, true).expect("it is sent");
        let answer = answer.await.expect("an answer");
        (answer.status().as_u16(), answer.into_body())
    }
}

/// Sends a body without its end, as far as the other side takes it.
async fn send(stream: &mut SendStream<Bytes>, bytes: usize) {
    let mut left = bytes;
    while left > 0 {
        stream.reserve_capacity(left.min(16 << 10));
        match std::future::poll_fn(|context| stream.poll_capacity(context)).await {
            Some(Ok(room)) if room > 0 => {
                let piece = room.min(left).min(16 << 10);
                if stream.send_data(Bytes::from(vec![b'x'; piece]), false).is_err() {
                    return;
                }
                left -= piece;
            }
            Some(Ok(_)) => {}
            _ => return,
        }
    }
}

async fn text(mut body: RecvStream) -> String {
    let mut text = Vec::new();
    while let Some(Ok(piece)) = body.data().await {
        body.flow_control().release_capacity(piece.len()).ok();
        text.extend_from_slice(&piece);
    }
    String::from_utf8(text).expect("text")
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let within = async { tokio::time::timeout(PATIENCE, future).await.expect("it ends in time") };
    runtime.expect("a runtime").block_on(within)
}

#[track_caller]
fn holds_little(server: &Server) {
    if let Some(peak) = cost::memory(server.id()) {
        assert!(peak < MEMORY, "{} MiB", peak >> 20);
    }
}

#[test]
fn the_bodies_that_one_connection_sends_are_bounded() {
    let topology = Topology::probe().with("[limits]", BODIES);
    let server = Server::start(&topology, &[]);
    block_on(async {
        let mut client = Client::connect(server.address, 1 << 20).await;
        let mut sending = Vec::new();
        for _ in 0..256 {
            let (answer, mut stream) = client.post("/headers").await;
            sending.push(tokio::spawn(async move {
                // All of it but the last byte: it waits for more, or is refused.
                let refused = async {
                    send(&mut stream, (4 << 20) - 1).await;
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    answer = answer => Some(answer.expect("an answer")),
                    () = refused => None,
                }
            }));
        }
        // The budget of the connection has room for one of them.
        let mut refused = 0;
        while refused < 250 {
            let (answer, _, others) = futures_util::future::select_all(sending).await;
            sending = others;
            let answer = answer.expect("it is not aborted").expect("only a refusal comes early");
            assert_eq!(answer.status(), 503);
            let said = text(answer.into_body()).await;
            assert!(said.contains("\"limits.bodies\""), "{said}");
            refused += 1;
        }
        sending.iter().for_each(JoinHandle::abort);
        // What it held is free again.
        let (answer, mut stream) = client.post("/headers").await;
        stream.send_data(Bytes::from_static(b"x"), true).expect("it is sent");
        assert_eq!(answer.await.expect("an answer").status(), 200);
    });
    holds_little(&server);
    server.stop().success();
}

#[test]
fn answers_that_clients_do_not_take_are_bounded() {
    let limits = format!("{BODIES}\nclient-time = \"2s\"");
    let topology = Topology::probe().with("[limits]", &limits);
    let server = Server::start(&topology, &[]);
    block_on(async {
        let mut refused = 0;
        let mut clients = Vec::new();
        for _ in 0..3 {
            // Nothing of a body comes through a window of nothing.
            let mut client = Client::connect(server.address, 0).await;
            let mut held = Vec::new();
            for _ in 0..24 {
                let (answer, mut stream) = client.post("/headers").await;
                send(&mut stream, 512 << 10).await;
                stream.send_data(Bytes::new(), true).ok();
                // One that was sent away meanwhile has no more answers.
                let Ok(answer) = answer.await else { break };
                refused += u32::from(answer.status() == 503);
                held.push(answer);
            }
            clients.push((client, held));
        }
        assert!(refused > 10, "{refused} are refused");
        // Who takes nothing for long is sent away.
        for (client, held) in clients {
            client.ended.await.expect("the connection ends");
            drop(held);
        }
        let mut client = Client::connect(server.address, 1 << 20).await;
        assert_eq!(client.get("/now").await.0, 200);
    });
    holds_little(&server);
    server.stop().success();
}

/// A request whose answer is as long as its own body, and that answer's head.
async fn echo(client: &mut Client, bytes: usize) -> http::Response<RecvStream> {
    let (answer, mut stream) = client.post("/headers").await;
    send(&mut stream, bytes).await;
    stream.send_data(Bytes::new(), true).ok();
    answer.await.expect("an answer")
}

#[test]
fn a_client_that_reads_slowly_gets_all_of_its_answers_and_holds_up_nobody() {
    const BYTES: usize = 512 << 10;
    let topology = Topology::probe().with("[limits]", BODIES);
    let server = Server::start(&topology, &[]);
    block_on(async {
        let mut other = Client::connect(server.address, 1 << 20).await;
        let whole = text(echo(&mut other, BYTES).await.into_body()).await;
        // Each of its answers comes in many pieces, of which it takes none yet.
        let mut slow = Client::connect(server.address, 16 << 10).await;
        let mut held = Vec::new();
        let refusal = loop {
            let answer = echo(&mut slow, BYTES).await;
            if answer.status() != 200 {
                break answer;
            }
            held.push(answer.into_body());
        };
        assert_eq!(refusal.status(), 503);
        assert!(text(refusal.into_body()).await.contains("\"limits.bodies\""));
        assert!((2..=16 * (1 << 20) / BYTES).contains(&held.len()), "{} are held", held.len());
        assert_eq!(echo(&mut other, BYTES).await.status(), 200, "others have room");
        for mut body in held {
            let mut read = Vec::new();
            while let Some(piece) = body.data().await {
                let piece = piece.expect("a piece");
                read.extend_from_slice(&piece);
                assert_eq!(other.get("/now").await.0, 200);
                body.flow_control().release_capacity(piece.len()).expect("it was held");
            }
            assert!(read == whole.as_bytes(), "{} bytes of {}", read.len(), whole.len());
        }
        assert_eq!(echo(&mut slow, BYTES).await.status(), 200, "there is room again");
    });
    holds_little(&server);
    server.stop().success();
}

#[test]
fn requests_that_are_taken_back_cost_little() {
    let topology = Topology::probe().with("[limits]", "requests = 100");
    let server = Server::start(&topology, &[]);
    block_on(async {
        let client = Client::connect(server.address, 1 << 20).await;
        for _ in 0..5_000 {
            let Ok(mut sender) = client.sender.clone().ready().await else { break };
            let request = Request::get("http://a/sleep/1000").body(()).expect("a request");
            let Ok((answer, mut stream)) = sender.send_request(request, true) else { break };
            stream.send_reset(h2::Reason::CANCEL);
            drop(answer);
        }
        let mut other = Client::connect(server.address, 1 << 20).await;
        let (status, body) = other.get("/now").await;
        assert!(status == 200 || text(body).await.contains("limits.requests"));
        drop(client.ended);
    });
    holds_little(&server);
    server.stop().success();
}

/// A frame: its type, its flags, the stream and what it holds (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// It reads nothing of what the server says.
#[test]
fn floods_of_frames_are_ended_or_wait() {
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const CONTINUATION: u8 = 9;
    let topology = Topology::probe().with("[limits]", "client-time = \"1s\"");
    let server = Server::start(&topology, &[]);
    let begin = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, &[])].concat();
    // `:method: GET` and `:path: /` begin a head that never ends.
    let head = frame(HEADERS, 0, 1, &[0x82, 0x84, 0x86]);
    let more = [&[0, 5][..], b"aaaaa", &[0x7f, 0x81, 0x1f], &[b'x'; 4_000][..]].concat();
    let floods = [
        (head, frame(CONTINUATION, 0, 1, &more)),
        (Vec::new(), frame(PING, 0, 0, b"12345678").repeat(500)),
        (Vec::new(), frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]).repeat(500)),
    ];
    for (first, flood) in floods {
        let mut client = super::connect(&server);
        client.write_all(&begin).expect("it speaks HTTP/2");
        client.write_all(&first).expect("it begins");
        // The server ends the connection, at once or because nothing is read from it.
        let ended = (0..100_000).find_map(|_| client.write_all(&flood).err());
        let ended = ended.expect("no flood goes on").kind();
        let kinds = [std::io::ErrorKind::ConnectionReset, std::io::ErrorKind::BrokenPipe];
        assert!(kinds.contains(&ended), "{ended}");
        assert_eq!(server.connect().get("/now", &[]).status(), 200);
    }
    holds_little(&server);
    server.stop().success();
}
