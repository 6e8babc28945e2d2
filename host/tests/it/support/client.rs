//! Requests and answers: over a socket, and as a run prints them.

use std::net::SocketAddr;

use serde_json::Value;

use super::http::{Connection, Message};

/// An answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// 0 where none came; then the body says why.
    pub status: u16,
    /// Names are lower-case. A run in virtual time prints none.
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// How long it took in simulated time, as a run in virtual time prints it.
    pub took: String,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A request to a server: method, target, headers, body.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    pub target: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a str,
}

/// Sends requests to a server.
#[derive(Clone, Copy, Debug)]
pub struct Client(pub SocketAddr);

impl Client {
    /// Sends a GET and waits for the answer.
    pub fn get(self, target: &str) -> Answer {
        self.send(Request { method: "GET", target, headers: &[], body: "" })
    }

    /// Sends one request on a connection of its own.
    pub fn send(self, request: Request<'_>) -> Answer {
        let Self(address) = self;
        let Request { method, target, headers, body } = request;
        let mut message = format!("{method} {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
        for (name, value) in headers {
            message.push_str(&format!("{name}: {value}\r\n"));
        }
        message.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
        Connection::open(address).send(&message).receive_with_body(method != "HEAD").into()
    }
}

impl From<Message> for Answer {
    fn from(message: Message) -> Self {
        let status = message.status();
        let lower = |(name, value): (String, String)| (name.to_lowercase(), value);
        let headers = message.headers.into_iter().map(lower).collect();
        Self { status, headers, body: message.body, took: String::new() }
    }
}

/// Takes standard output apart: the answers to `requests`, and the report.
pub fn printed(stdout: &str, requests: &[&str]) -> (Vec<Answer>, String) {
    let mut rest = stdout;
    let mut answers = Vec::new();
    for (index, request) in requests.iter().enumerate() {
        let asked: Vec<_> = request.split(' ').take(2).collect();
        let (line, after) = rest.split_once('\n').unwrap_or_else(|| panic!("no answer: {stdout}"));
        let said = line.strip_prefix(&asked.join(" "));
        if let Some((took, error)) =
            said.and_then(|line| line.strip_prefix(" got no answer in ")?.split_once(": "))
        {
            let (headers, body, took) = (Vec::new(), error.to_owned(), took.to_owned());
            answers.push(Answer { status: 0, headers, body, took });
            rest = after;
            continue;
        }
        let words = said.and_then(|line| line.strip_prefix(" answered "));
        let (status, took) = words.and_then(|words| words.split_once(" in ")).unwrap_or_else(|| {
            panic!("no answer to {request}: {line}");
        });
        let end = match requests.get(index + 1) {
            Some(next) => next.split(' ').take(2).collect::<Vec<_>>().join(" ") + " ",
            None => "\n".to_owned(),
        };
        let length =
            if after.starts_with(&end) { 0 } else { after.find(&format!("\n{end}")).map_or(0, |at| at + 1) };
        answers.push(Answer {
            status: status.parse().expect("a status is a number"),
            headers: Vec::new(),
            body: after[..length].trim_end_matches('\n').to_owned(),
            took: took.to_owned(),
        });
        rest = &after[length..];
    }
    (answers, rest.trim_start().to_owned())
}
