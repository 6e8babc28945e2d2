//! One route of the gateway, as its configuration says, and how its requests are passed on.

use simhost_sdk::Distribution;
use simhost_sdk::extract::Params;
use simhost_sdk::prelude::*;

/// Headers that end at each hop, and those that the next hop sets itself.
const OF_A_HOP: [&str; 10] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const TIMEOUT: Duration = Duration::from_secs(30);

/// A route, and where its requests go.
#[derive(Clone, Debug)]
pub struct Proxy {
    pub route: String,
    /// The key at which the route stands.
    pub key: String,
    to: String,
    path: Option<String>,
    auth: Option<(String, String)>,
    timeout: Duration,
    work: Distribution,
}

/// The routes of the configuration, in its order. What is wrong with it is refused.
pub fn read() -> Vec<Proxy> {
    let (auth, timeout) = (auth("auth"), config::duration("timeout", TIMEOUT));
    let work = config::distribution("work", Distribution::Fixed(Duration::ZERO));
    let all = config::all();
    let tables = all.iter().filter_map(|(key, _)| key.strip_suffix(".route"));
    let proxies =
        tables.filter(|table| !table.contains('.')).map(|table| of_table(table, &auth, timeout, &work));
    proxies.collect()
}

fn of_table(table: &str, shared: &Option<(String, String)>, timeout: Duration, work: &Distribution) -> Proxy {
    let key = |name: &str| format!("{table}.{name}");
    let to = config::text(&key("to"), "");
    if to.is_empty() {
        let problem = Problem::of(key("to"), "the gateway does not know where requests of this route go");
        config::refuse(problem.remedy("write to = \"NAME\" of a service"));
    }
    Proxy {
        route: config::text(&key("route"), ""),
        key: key("route"),
        to,
        path: Some(config::text(&key("path"), "")).filter(|path| !path.is_empty()),
        auth: auth(&key("auth")).or_else(|| shared.clone()),
        timeout: config::duration(&key("timeout"), timeout),
        work: config::distribution(&key("work"), work.clone()),
    }
}

/// The service and the path that say who may pass.
fn auth(key: &str) -> Option<(String, String)> {
    let text = config::text(key, "");
    let (service, path) = text.split_once('/').unwrap_or((&text, ""));
    (!service.is_empty()).then(|| (service.to_owned(), format!("/{path}")))
}

impl Proxy {
    /// Passes a request on, if it may pass, and its response back.
    pub fn serve(&self, params: &Params, request: &Request) -> Result<Response, Error> {
        clock::sleep(self.work.sample());
        let path = self.path.as_ref().map(|path| with_query(filled(path, params), request.query()));
        let path = path.unwrap_or_else(|| request.path_and_query().to_owned());
        let headers: Vec<_> = request.headers().iter().filter(|(name, _)| !is_of_a_hop(name)).collect();
        let passed = |method: &str, path: &str| {
            let mut passed = Request::new(method, path);
            headers.iter().for_each(|(name, value)| passed.headers_mut().append(name, *value));
            passed
        };
        if let Some((service, path)) = &self.auth {
            let answer = call(service).forward(passed("GET", path)).timeout(self.timeout).send();
            let answer = answer.map_err(Error::gateway)?;
            if !answer.is_success() {
                return Ok(back(answer));
            }
        }
        let passed = passed(request.method(), &path);
        let body = request.bytes();
        let answer = call(&self.to).forward(passed.body(body)).timeout(self.timeout).send();
        answer.map(back).map_err(Error::gateway)
    }
}

/// A response without the headers that end here.
fn back(answer: Response) -> Response {
    let passed = Response::new(answer.status());
    let ends = |(name, _): &(&str, &str)| !is_of_a_hop(name);
    let passed =
        answer.headers().iter().filter(ends).fold(passed, |passed, (name, value)| passed.header(name, value));
    passed.body(answer.bytes())
}

fn is_of_a_hop(name: &str) -> bool {
    OF_A_HOP.iter().any(|other| name.eq_ignore_ascii_case(other))
}

/// A path with the parameters of the request in place of their names in braces.
fn filled(path: &str, params: &Params) -> String {
    let fill = |path: String, (name, value): &(String, String)| {
        path.replace(&format!("{{{name}}}"), &percent_encode(value))
    };
    params.0.iter().fold(path.to_owned(), fill)
}

fn with_query(path: String, query: &str) -> String {
    if query.is_empty() { path } else { format!("{path}?{query}") }
}
