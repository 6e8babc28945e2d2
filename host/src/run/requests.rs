//! Requests from the command line: `--request 'POST /orders {"item":"book"}'`.

use std::net::Ipv4Addr;
use std::str::FromStr;

use crate::bus::spans::simulated_client;
use crate::bus::{Answer, Entry, OfClient, RequestIdentity};
use crate::error::{Problem, steers_terminal};
use crate::guest::endpoint::Endpoint;
use crate::message::{Headers, Request, is_target, is_token};
use crate::metrics::HttpVersion;
use crate::model::{Model, Nanos, ServiceId};
use crate::report::words;

/// The `User-Agent` of requests from the command line, without a version: a release alone moves
/// no digest.
const USER_AGENT: &str = "simhost";

/// Who asks for the requests of the command line.
pub const CLIENT: &str = "simhost";

/// A request that the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestFlag {
    method: String,
    target: String,
    body: String,
    /// Beside those that every request has.
    headers: Vec<(String, String)>,
}

/// Its answer.
#[derive(Debug)]
pub struct Reply {
    pub asked: RequestFlag,
    pub answer: Answer,
    /// Simulated nanoseconds from the request to its answer.
    pub took: Nanos,
}

impl Reply {
    /// As standard output has it: the status and the body, or why there is none.
    pub fn text(&self) -> String {
        let took = words::time(self.took);
        let response = match &self.answer.outcome {
            Ok(response) => response,
            Err(error) => return format!("{} got no answer in {took}: {error}\n", self.asked),
        };
        let mut text = format!("{} answered {} in {took}\n", self.asked, response.status);
        let body = String::from_utf8_lossy(&response.body);
        if !body.is_empty() {
            text.extend(body.chars().map(|c| if steers_terminal(c) { '\u{fffd}' } else { c }));
            text.push('\n');
        }
        text
    }
}

impl FromStr for RequestFlag {
    type Err = String;

    /// `METHOD PATH [BODY]`; everything behind the path is the body.
    fn from_str(text: &str) -> Result<Self, String> {
        let (method, rest) = text.trim().split_once(' ').ok_or("write it as 'METHOD /path [body]'")?;
        let (target, body) = rest.trim_start().split_once(' ').unwrap_or((rest.trim_start(), ""));
        if !is_token(method) || method.to_uppercase() != method {
            return Err(format!("{method:?} is not a method: write it as 'METHOD /path [body]'"));
        }
        if !is_target(target) {
            return Err(format!("{target:?} is not a path: it starts with / and is percent-encoded"));
        }
        let headers = Vec::new();
        Ok(Self {
            method: method.to_owned(),
            target: target.to_owned(),
            body: body.trim().to_owned(),
            headers,
        })
    }
}

impl std::fmt::Display for RequestFlag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.target)
    }
}

impl RequestFlag {
    /// The request with further headers.
    pub fn with_headers(self, headers: Vec<(String, String)>) -> Self {
        Self { headers, ..self }
    }

    pub fn method(&self) -> &str {
        &self.method
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// As the command line has it, body included: what [`from_str`](Self::from_str) reads.
    pub fn written(&self) -> String {
        format!("{self} {}", self.body).trim_end().to_owned()
    }

    /// The request as the ingress would take it in from `client`.
    pub fn entry(&self, to: ServiceId, client: &OfClient) -> Entry {
        let mut headers = Headers::default();
        headers.push("user-agent", USER_AGENT);
        if serde_json::from_str::<serde::de::IgnoredAny>(&self.body).is_ok() {
            headers.push("content-type", "application/json");
        }
        self.headers.iter().for_each(|(name, value)| headers.push(name.to_ascii_lowercase(), value.as_str()));
        let request = Request {
            method: self.method.clone(),
            target: self.target.clone(),
            headers,
            body: self.body.clone().into_bytes(),
        };
        Entry { to, request, shown: client.clone(), identity: RequestIdentity::Numbered, client: None }
    }
}

/// Who asks for the requests of the command line, as SERVER spans of `service` show it.
pub fn client(address: Ipv4Addr, service: &str) -> OfClient {
    let endpoint = Endpoint::new(address, USER_AGENT.into());
    let shared = simulated_client(&service.into(), &endpoint, Vec::new());
    OfClient { shared: Some(shared), own: Vec::new(), version: HttpVersion::Http11 }
}

/// What keeps requests from coming in.
pub fn problems(model: &Model) -> Vec<Problem> {
    let mut problems = Vec::new();
    let goes_by_itself = model.loads.iter().any(|load| load.enabled)
        || model.schedules.iter().any(|schedule| schedule.enabled);
    if model.ingress.is_none() && !goes_by_itself {
        let problem = Problem::new("the topology has no [ingress]: no request can come in");
        problems.push(problem.help("say where requests go: [ingress] to = \"SERVICE\""));
    }
    let external =
        |model: &Model, id: ServiceId| matches!(model.service(id).code, crate::model::Code::External(_));
    if let Some(ingress) = model.ingress.as_ref().filter(|ingress| external(model, ingress.to)) {
        let service = model.service(ingress.to);
        let problem = Problem::new(format!("the ingress leads to {:?}, a real server", service.name));
        problems.push(
            problem
                .at(service.place.clone(), "an external service")
                .help("let it lead to a service with a guest"),
        );
    }
    problems
}
