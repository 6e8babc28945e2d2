//! What the host would have to keep.

use std::mem::forget;

use super::simhost::service::bus::{self, Pending};
use super::simhost::service::tracing::{self, Span, SpanKind, Value};
use super::simhost::service::{clock, logging};
use super::{PATIENT, request};

const SECOND: u64 = 1_000_000_000;

/// A list of texts: 2 MiB for the host, and 16 KiB of this guest's own memory for their text.
fn heavy() -> Value {
    Value::Texts(vec!["x".repeat(16 << 10); 128])
}

/// The first error of calls, or how many there were.
fn outcome<'a>(calls: impl Iterator<Item = &'a Pending>) -> String {
    let mut good = 0;
    for call in calls {
        match call.wait() {
            Ok(_) => good += 1,
            Err(error) => return format!("{good} calls, then {error}"),
        }
    }
    format!("{good} calls")
}

pub fn answers(calls: u64, bytes: u64) -> String {
    let mut made = Vec::new();
    for number in 0..calls {
        made.push(Pending::new("back", &request(format!("/body/{bytes}"), Vec::new()), PATIENT));
        if number % 64 == 63 {
            clock::sleep(SECOND / 100);
        }
    }
    clock::sleep(SECOND);
    // The last ones: whether the host still has the others shows in its memory.
    outcome(made.iter().rev())
}

fn slow(bytes: u64) -> bus::Request {
    request(format!("/sleep/{SECOND}"), vec![0; bytes as usize])
}

pub fn requests(calls: u64, bytes: u64) -> String {
    let made: Vec<_> = (0..calls).map(|_| Pending::new("back", &slow(bytes), PATIENT)).collect();
    outcome(made.iter().rev())
}

pub fn forgotten(calls: u64, bytes: u64) -> String {
    let request = slow(bytes);
    for _ in 0..calls {
        drop(Pending::new("back", &request, PATIENT));
    }
    "fired".to_owned()
}

pub fn given_up(calls: u64, bytes: u64) -> String {
    let request = slow(bytes);
    let impatient = bus::CallOptions { timeout_ns: Some(1) };
    let mut last = String::new();
    for _ in 0..calls {
        last =
            bus::call("back", &request, impatient).err().map(|error| error.to_string()).unwrap_or_default();
    }
    last
}

pub fn spans(spans: u64, attributes: u64) -> String {
    let mut attribute = [(String::new(), heavy())];
    for _ in 0..spans {
        let span = Span::new("heavy", SpanKind::Internal, &[]);
        for number in 0..attributes {
            attribute[0].0 = format!("k{number}");
            span.set_attributes(&attribute);
        }
        forget(span);
    }
    "spans".to_owned()
}

pub fn events(spans: u64, events: u64) -> String {
    let attributes = [("k".to_owned(), heavy())];
    for _ in 0..spans {
        let span = Span::new("heavy", SpanKind::Internal, &[]);
        for _ in 0..events {
            span.add_event("heavy", &attributes);
        }
        forget(span);
    }
    "events".to_owned()
}

pub fn logs(records: u64) -> String {
    let attributes = [("k".to_owned(), heavy())];
    for _ in 0..records {
        logging::log(logging::Level::Info, "heavy", &attributes);
    }
    "logs".to_owned()
}

pub fn annotations(attributes: u64) -> String {
    let mut attribute = [(String::new(), heavy())];
    for number in 0..attributes {
        attribute[0].0 = format!("k{number}");
        tracing::annotate(&attribute);
    }
    "annotated".to_owned()
}

pub fn handles(spans: u64) -> String {
    for _ in 0..spans {
        forget(Span::new("forgotten", SpanKind::Internal, &[]));
    }
    "forgotten".to_owned()
}

pub fn argument(copies: u64) -> String {
    let value = heavy();
    let attributes: Vec<_> = (0..copies).map(|number| (format!("k{number}"), value.clone())).collect();
    tracing::annotate(&attributes);
    "passed".to_owned()
}
