//! Traces as trees.

use std::fmt::Write;

use super::telemetry::{Attributes, Event, Span};

/// Every trace as a tree: children below their parents, in the order in which
/// they started. Times count from the trace's start.
pub fn tree(spans: &[Span]) -> String {
    let mut text = String::new();
    let mut roots: Vec<_> = spans.iter().filter(|span| span.parent.is_empty()).collect();
    roots.sort_by_key(|span| span.start);
    for root in roots {
        branch(&mut text, spans, root, root.start, 0);
    }
    text
}

/// The spans whose parent is `span`, in the order in which they started; those
/// that started together, in the order in which they ended.
pub fn children<'a>(spans: &'a [Span], span: &Span) -> Vec<&'a Span> {
    let of_span = |other: &&Span| other.parent == span.id && other.trace == span.trace;
    let mut children: Vec<_> = spans.iter().filter(of_span).collect();
    children.sort_by_key(|span| (span.start, span.end));
    children
}

fn branch(text: &mut String, spans: &[Span], span: &Span, zero: u64, depth: usize) {
    let Span { service, name, flags, start, end, .. } = span;
    let (kind, status) = (span.kind_name(), span.status_text());
    let indent = "  ".repeat(depth);
    let (at, took) = (micros(start - zero), micros(end - start));
    writeln!(text, "{indent}{service}: {name} {kind} {status}, at {at} for {took}, flags {flags:#x}")
        .expect("a String takes every write");
    list_attributes(text, &format!("{indent}  | "), &span.attributes);
    for Event { name, time, attributes } in &span.events {
        writeln!(text, "{indent}  ! {name} at {}", micros(time - zero)).expect("a String takes every write");
        list_attributes(text, &format!("{indent}    | "), attributes);
    }
    for child in children(spans, span) {
        branch(text, spans, child, zero, depth + 1);
    }
}

fn list_attributes(text: &mut String, indent: &str, attributes: &Attributes) {
    for (key, value) in attributes {
        writeln!(text, "{indent}{key} = {value}").expect("a String takes every write");
    }
}

fn micros(nanos: u64) -> String {
    format!("{}.{:03} us", nanos / 1_000, nanos % 1_000)
}
