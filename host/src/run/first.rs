//! The request that a run without requests suggests: a load of the topology would send it, or else a
//! route of the ingress's service answers it. It is written for a shell.

use crate::bus::routes::{Match, Routes};
use crate::load;
use crate::message::Request;
use crate::model::Model;

use super::calls::{Found, sample};

/// Bytes of a suggested request at most: it is read in a terminal.
const BYTES: usize = 2_000;

/// The command that sends a first request to the ingress at `base` (`http://127.0.0.1:8001`), whose service
/// has these routes.
pub fn curl(model: &Model, routes: &Routes, base: &str) -> String {
    command(&request(model, routes), base)
}

/// The flag that sends a first request: `--request 'GET /stock/book'`; none without an ingress.
pub fn flag(found: &Found<'_>) -> Option<String> {
    let to = found.model.ingress.as_ref()?.to;
    let request = found.routes(to).next().map_or_else(root, |routes| request(found.model, routes));
    let body = String::from_utf8_lossy(&request.body);
    let text = format!("{} {} {body}", request.method, request.target);
    Some(format!("--request {}", quoted(text.trim_end())))
}

fn request(model: &Model, routes: &Routes) -> Request {
    let meets = |method: &str, path: &str| matches!(routes.find(method, path), Match::Found(..));
    let of_load = of_loads(model).find(|request| meets(&request.method, request.path()));
    of_load.unwrap_or_else(|| of_route(routes))
}

/// The requests with which the loads of the ingress's service begin, as far as a line of a terminal can
/// show them.
fn of_loads(model: &Model) -> impl Iterator<Item = Request> {
    let to = model.ingress.as_ref().map(|ingress| ingress.to);
    let root = model.root();
    let loads = model.loads.iter().filter(move |load| Some(load.to) == to);
    loads.filter_map(move |load| load::example(load, root)).filter(is_a_line)
}

fn is_a_line(request: &Request) -> bool {
    let size = request.target.len() + request.headers.size() + request.body.len();
    size <= BYTES && std::str::from_utf8(&request.body).is_ok_and(|body| !body.contains(char::is_control))
}

/// A request without a body that a route answers: preferably one that reads, and none of a health check,
/// which tells nothing of the system. A guest without routes takes every request.
fn of_route(routes: &Routes) -> Request {
    let all = routes.names().filter_map(|name| {
        let (method, path) = name.split_once(' ')?;
        Some(Request { method: method.to_owned(), target: sample(path), ..Request::default() })
    });
    let found = all.filter(|request| routes.find(&request.method, &request.target).route().is_some());
    let rank = |request: &Request| (request.target.starts_with("/health"), request.method != "GET");
    found.min_by_key(rank).unwrap_or_else(root)
}

fn root() -> Request {
    Request { method: "GET".to_owned(), target: "/".to_owned(), ..Request::default() }
}

/// A request as curl sends it (curl's manual page), in one line for a shell.
fn command(request: &Request, base: &str) -> String {
    let mut words = vec!["curl".to_owned()];
    match request.method.as_str() {
        "GET" if request.body.is_empty() => {}
        // With -X curl would wait for a body.
        "HEAD" => words.push("-I".to_owned()),
        method => words.extend(["-X".to_owned(), method.to_owned()]),
    }
    if request.target.contains(['[', ']', '{', '}']) {
        // To curl these are patterns.
        words.push("-g".to_owned());
    }
    words.push(format!("{base}{}", request.target));
    for (name, value) in &request.headers.0 {
        // To curl a header without a value is one that is left out.
        let header = if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") };
        words.extend(["-H".to_owned(), header]);
    }
    if !request.body.is_empty() {
        if request.headers.get("content-type").is_none() {
            // By itself curl says that a body is a form.
            words.extend(["-H".to_owned(), "content-type:".to_owned()]);
        }
        let body = String::from_utf8_lossy(&request.body).into_owned();
        // With -d a body that begins with @ is the name of a file.
        let flag = if body.starts_with('@') { "--data-raw" } else { "-d" };
        words.extend([flag.to_owned(), body]);
    }
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A word as a shell reads it (POSIX, Shell Command Language, section 2.2.2).
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._/:,+@%".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}
