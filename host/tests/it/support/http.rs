//! HTTP/1.1 by hand: what goes over the wire is what a test says, byte for byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::PATIENCE;

/// One message as it came over the wire.
#[derive(Debug)]
pub struct Message {
    /// `POST /orders HTTP/1.1`, `HTTP/1.1 201 Created`.
    pub start: String,
    /// Names as they were sent.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Message {
    pub fn status(&self) -> u16 {
        let status = self.start.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("{:?} has no status", self.start))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let value = named.next().map(|(_, value)| value.as_str());
        assert!(named.next().is_none(), "{name} comes once: {:?}", self.headers);
        value
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?} holds JSON"))
    }
}

/// A connection to a server, or from a client.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub fn open(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect_timeout(&address, PATIENCE).expect("a connection"))
    }

    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self(BufReader::new(stream))
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, text: &str) -> &mut Self {
        self.0.get_mut().write_all(text.as_bytes()).expect("the other side reads");
        self
    }

    /// Sends bytes; false when the other side has gone.
    pub fn try_send(&mut self, text: &str) -> bool {
        self.0.get_mut().write_all(text.as_bytes()).is_ok()
    }

    /// Sends a request: `start` is `GET /now`, `headers` are lines.
    pub fn request(&mut self, start: &str, headers: &[&str], body: &str) -> &mut Self {
        let mut text = format!("{start} HTTP/1.1\r\nHost: test:8001\r\n");
        headers.iter().for_each(|header| text.extend([header, "\r\n"]));
        if !body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        self.send(&format!("{text}\r\n{body}"))
    }

    /// Sends a request without a body and takes its answer.
    pub fn get(&mut self, target: &str, headers: &[&str]) -> Message {
        self.request(&format!("GET {target}"), headers, "").receive()
    }

    /// Sends an order and takes its answer.
    pub fn order(&mut self, quantity: i64, headers: &[&str]) -> Message {
        let body = format!(r#"{{"item":"book","quantity":{quantity},"price":9.99}}"#);
        let headers = [&["Content-Type: application/json"], headers].concat();
        self.request("POST /orders", &headers, &body).receive()
    }

    pub fn receive(&mut self) -> Message {
        self.receive_with_body(true)
    }

    /// Takes an answer; one to HEAD has a length and no body.
    pub fn receive_with_body(&mut self, has_body: bool) -> Message {
        let start = self.line();
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut message = Message { start, headers, body: String::new() };
        let length = message.header("content-length").map(|length| length.parse().expect("a length"));
        let mut body = vec![0; length.filter(|_| has_body).unwrap_or(0)];
        self.0.read_exact(&mut body).expect("the whole body");
        message.body = String::from_utf8(body).expect("text");
        message
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line");
        assert!(line.ends_with("\r\n"), "{line:?} is a whole line");
        line.trim_end().to_owned()
    }

    /// What the other side still says until it closes the connection.
    pub fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        // A reset closes it as well.
        self.0.read_to_end(&mut rest).ok();
        String::from_utf8_lossy(&rest).into_owned()
    }

    /// Whether nothing comes for `time`.
    pub fn is_silent_for(&mut self, time: Duration) -> bool {
        self.0.get_ref().set_read_timeout(Some(time)).expect("a timeout");
        let silent =
            matches!(self.0.fill_buf(), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock);
        self.0.get_ref().set_read_timeout(Some(PATIENCE)).expect("a timeout");
        silent
    }

    pub fn no_more_from_here(&self) {
        self.0.get_ref().shutdown(Shutdown::Write).expect("a connection");
    }
}

/// A server of the test's own: it answers what the test says, when the test says it.
pub struct Upstream(TcpListener);

impl Upstream {
    pub fn open() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").expect("a port"))
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }

    pub fn port(&self) -> u16 {
        self.0.local_addr().expect("an address").port()
    }

    /// Takes the next request; its answer goes over the connection.
    pub fn accept(&self) -> (Message, Connection) {
        let (stream, _) = self.0.accept().expect("a connection");
        let mut connection = Connection::new(stream);
        (connection.receive(), connection)
    }

    /// Takes the next request and answers it.
    pub fn answer(&self, head: &str, body: &str) -> Message {
        let (request, mut connection) = self.accept();
        connection.respond(head, body);
        request
    }
}

impl Connection {
    /// Answers: `head` is `200 OK` and further header lines.
    pub fn respond(&mut self, head: &str, body: &str) {
        self.send(&format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    }
}

/// A port at which nobody listens, and nobody else will.
pub struct Dead(tokio::net::TcpSocket);

impl Dead {
    pub fn open() -> Self {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        Self(socket)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().expect("an address"))
    }
}
