//! `--exemplar`: the trace that stands for a quantile of a route, in the words of the report.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::read::ReadError;
use crate::context::TraceId;
use crate::error::{did_you_mean, quote};
use crate::report::words::{counted, time};
use crate::tally::{Exemplar, Tally};
use crate::telemetry::record::{Resource, SpanKind, SpanRecord, Value};

/// Routes of a file that are remembered, to name the nearest where one is misspelt.
const ROUTES: usize = 1_000;

/// What the report calls requests that met no route.
const NO_ROUTE: &str = "(no route)";

/// `order-service POST /orders p99`.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    service: String,
    /// `POST /orders`, or `(no route)`.
    route: String,
    /// As it was written.
    percentile: String,
    /// Above 0 and up to 1.
    quantile: f64,
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.service, self.route, self.percentile)
    }
}

impl FromStr for Wish {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str =
            "write service, route and percentile as the report does: 'order-service POST /orders p99'";
        let words: Vec<&str> = text.split_whitespace().collect();
        let [service, route @ .., percentile] = &words[..] else { return Err(FORM.to_owned()) };
        if route.len() != 2 {
            return Err(FORM.to_owned());
        }
        // Read as a share, as a division by 100 is not exact: 99.9 would be a bit more than 0.999.
        let share =
            percentile.strip_prefix('p').and_then(|number| format!("{number}e-2").parse::<f64>().ok());
        let quantile = match (*percentile, share) {
            ("max", _) => 1.0,
            (_, Some(share)) if share > 0.0 && share < 1.0 => share,
            _ => return Err(format!("{} is no percentile: write p50, p99, p99.9 or max", quote(percentile))),
        };
        let (service, percentile) = ((*service).to_owned(), (*percentile).to_owned());
        Ok(Self { service, route: route.join(" "), percentile, quantile })
    }
}

/// Looks for the exemplar among the SERVER spans of a file.
#[derive(Debug, Default)]
pub struct Search {
    wish: Option<Wish>,
    /// The requests of the route.
    tally: Tally,
    /// The routes of each service.
    known: BTreeMap<String, Vec<String>>,
    /// Entries of `known`, and of its lists.
    routes: usize,
}

impl Search {
    pub fn new(wish: Option<Wish>) -> Self {
        Self { wish, ..Self::default() }
    }

    pub fn add(&mut self, span: &SpanRecord, resource: &Resource) {
        let Some(wish) = self.wish.as_ref().filter(|_| span.kind == SpanKind::Server) else { return };
        let route = route(span);
        if *resource.service == *wish.service && route == wish.route {
            let took = span.end - span.start;
            self.tally.note(took, None);
            self.tally.note_trace(Exemplar { trace_id: span.trace_id, took });
        }
        let is_known = self.known.get(&*resource.service).is_some_and(|routes| routes.contains(&route));
        if !is_known && self.routes < ROUTES {
            self.known.entry(resource.service.to_string()).or_default().push(route);
            self.routes += 1;
        }
    }

    /// The trace, and a sentence about it; none where none was asked for.
    ///
    /// # Errors
    /// The file has no such request.
    pub fn found(self) -> Result<Option<(TraceId, String)>, ReadError> {
        let Self { wish: Some(wish), tally, known, .. } = self else { return Ok(None) };
        let Some(exemplar) = tally.exemplar(wish.quantile) else { return Err(unknown(&wish, &known)) };
        let (quantile, took) = (time(tally.quantile(wish.quantile)), time(exemplar.took));
        let requests = counted(tally.count, "request");
        Ok(Some((exemplar.trace_id, format!("{wish} is {quantile}, of {requests}; here it took {took}"))))
    }
}

/// What the report calls the route of a SERVER span: its name, where it has a route.
fn route(span: &SpanRecord) -> String {
    match span.attributes.get("http.route") {
        Some(Value::Text(route)) if span.name.ends_with(&**route) => span.name.to_string(),
        _ => NO_ROUTE.to_owned(),
    }
}

fn unknown(wish: &Wish, known: &BTreeMap<String, Vec<String>>) -> ReadError {
    let (what, help) = match known.get(&wish.service) {
        None => {
            let services = known.keys().map(String::as_str);
            let what = format!("no request of the file is of service {}", quote(&wish.service));
            (what, did_you_mean(&wish.service, "services", services))
        }
        Some(routes) => {
            let routes = routes.iter().map(String::as_str);
            let what = format!("no request to {} is of route {}", wish.service, quote(&wish.route));
            (what, did_you_mean(&wish.route, "routes", routes))
        }
    };
    ReadError::Unknown { what, help }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_has_the_words_of_the_report() {
        let wish: Wish = " order-service  POST /orders p99".parse().expect("a wish");
        assert_eq!((wish.to_string().as_str(), wish.quantile), ("order-service POST /orders p99", 0.99));
        let quantile = |text: &str| text.parse::<Wish>().map(|wish| wish.quantile);
        assert_eq!(quantile("stock (no route) p99.9"), Ok(0.999));
        assert_eq!(quantile("stock GET /{item} max"), Ok(1.0));
        for text in ["", "stock", "stock p99", "stock GET p99", "stock GET /a b p99"] {
            let error = quantile(text).expect_err(text);
            assert!(error.starts_with("write service, route and percentile"), "{text}: {error}");
        }
        for text in ["p0", "p100", "99", "p", "pNaN", "pinf"] {
            let error = quantile(&format!("stock GET / {text}")).expect_err(text);
            assert!(error.contains("is no percentile: write p50, p99"), "{text}: {error}");
        }
    }
}
