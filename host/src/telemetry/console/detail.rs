//! What is said below a span: what it is linked to, why it failed, its attributes, what happened in it.

use opentelemetry_semantic_conventions::attribute as semconv;

use super::style::{DIM, Glyphs, Ink, PLAIN, RED, Style, YELLOW};
use super::text::{SHORT_ID, Unit, count, safe, width};
use crate::telemetry::choice::Holder;
use crate::telemetry::record::{
    Event, KeyValue, LogRecord, Resource, ResourceId, Severity, SpanLink, SpanRecord, Status, Value,
};

/// Events and log lines of one span that are shown.
pub const MAX_MOMENTS: usize = 20;
/// Links of one span that are shown.
pub const MAX_LINKS: usize = 5;
/// Lines that one detail may take.
pub const MAX_LINES: usize = 3;

/// Attributes that say again what the tree shows, or that only machines
/// read. What is left is what the author of a service put there.
const HIDDEN: [&str; 14] = [
    "client.",
    "code.",
    "error.",
    "exception.",
    "http.",
    "net.",
    "network.",
    "otel.",
    "peer.",
    "server.",
    "service.",
    "thread.",
    "url.",
    "user_agent.",
];
/// Attributes of those families that tell something all the same.
const SHOWN: [&str; 1] = [semconv::HTTP_REQUEST_RESEND_COUNT];

/// Attributes that say nothing where the name of their span has them in it: `send order-events`.
const IN_NAMES: [&str; 3] = [
    semconv::MESSAGING_OPERATION_NAME,
    semconv::MESSAGING_OPERATION_TYPE,
    semconv::MESSAGING_DESTINATION_NAME,
];

/// A few words below a span, wrapped between them.
#[derive(Clone, Debug, Default)]
pub struct Detail {
    pub words: Vec<(Ink, String)>,
}

impl Detail {
    pub fn new(ink: Ink, text: &str) -> Self {
        Self::default().text(ink, text)
    }

    /// Adds text that may be wrapped at its spaces.
    fn text(mut self, ink: Ink, text: &str) -> Self {
        self.words.extend(text.split_whitespace().map(|word| (ink, word.to_owned())));
        self
    }

    /// Adds text that stays in one piece.
    fn word(mut self, ink: Ink, word: String) -> Self {
        self.words.push((ink, word));
        self
    }
}

/// Something that happened at an instant of a span: an event, or a log record.
#[derive(Clone, Debug)]
pub struct Moment {
    pub time: u64,
    pub resource: ResourceId,
    pub detail: Detail,
}

/// What all details of a picture share.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    pub style: Style,
    pub unit: Unit,
    /// When the axis begins.
    pub start: u64,
}

impl Context {
    pub fn details(&self, span: &SpanRecord, logs: &[&LogRecord]) -> Vec<Detail> {
        let mut details = Vec::new();
        details.extend(self.errors(span));
        if self.style.attributes {
            let is_named = |attribute: &&KeyValue| is_in_name(attribute, &span.name);
            let shown = span.attributes.iter().filter(|attribute| is_shown(&attribute.key));
            let shown = shown.filter(|attribute| !is_named(attribute));
            let detail = self.attributes(Detail::default(), shown);
            details.extend((!detail.words.is_empty()).then_some(detail));
        }
        if !self.style.logs {
            let (moments, more) = self.moments(span, logs);
            details.extend(moments.into_iter().map(|moment| self.at(moment)).chain(more));
        }
        let dropped = [(span.dropped_attributes, "attribute"), (span.dropped_events, "event")];
        for (dropped, noun) in dropped.into_iter().filter(|(dropped, _)| *dropped > 0) {
            let text = format!("{} over the limit", count(dropped as usize, noun));
            details.push(self.more(&text));
        }
        details
    }

    /// The spans that a span is linked to, but for its parent: with whole ids where `columns` have room.
    pub fn links(&self, span: &SpanRecord, columns: usize) -> Vec<Detail> {
        let Glyphs { link: sign, ellipsis, .. } = self.glyphs();
        let said = |link: &SpanLink, digits: usize| {
            let [trace, span] = [link.trace_id.to_string(), link.span_id.to_string()]
                .map(|id| id.chars().take(digits).collect::<String>());
            format!("{sign} trace {trace} span {span}")
        };
        let detail = |link: &SpanLink| {
            let whole = said(link, usize::MAX);
            let has_room = width(&whole) + width(ellipsis) <= columns;
            Detail::new(PLAIN, &if has_room { whole } else { said(link, SHORT_ID) })
        };
        // The tree shows the parent.
        let is_parent = |link: &SpanLink| link.trace_id == span.trace_id && Some(link.span_id) == span.parent;
        let links: Vec<_> = span.links.iter().filter(|link| !is_parent(link)).collect();
        let further = links.len().saturating_sub(MAX_LINKS);
        let more = (further > 0).then(|| self.more(&count(further, "more link")));
        links.into_iter().take(MAX_LINKS).map(detail).chain(more).collect()
    }

    /// The attributes that are asked for, of a span and of its Resource, as far as they are not shown anyway.
    pub fn asked(
        &self,
        asked: &[(Holder, String)],
        span: &SpanRecord,
        resource: Option<&Resource>,
    ) -> Option<Detail> {
        let of_span = |key: &str| {
            let value = span.attributes.get(key)?;
            let is_there = self.style.attributes && is_shown(key);
            Some((!is_there).then(|| format!("{}={}", self.safe(key), self.value(value))))
        };
        let of_resource = |key: &str| {
            let found = resource?.attributes.iter().find(|attribute| &*attribute.key == key)?;
            // Each line begins with the name of its service.
            let is_there = key == semconv::SERVICE_NAME;
            Some((!is_there).then(|| format!("resource.{}={}", self.safe(key), self.value(&found.value))))
        };
        let words = asked.iter().filter_map(|(holder, key)| match holder {
            Holder::Span => of_span(key).flatten(),
            Holder::Resource => of_resource(key).flatten(),
            Holder::Either => of_span(key).or_else(|| of_resource(key)).flatten(),
        });
        let detail = words.fold(Detail::default(), |detail, word| detail.word(PLAIN, word));
        (!detail.words.is_empty()).then_some(detail)
    }

    /// `… 12 more events`.
    pub fn more(&self, text: &str) -> Detail {
        Detail::new(DIM, &format!("{} {text}", self.glyphs().ellipsis))
    }

    fn glyphs(&self) -> &'static Glyphs {
        self.style.glyphs()
    }

    pub fn safe(&self, text: &str) -> String {
        safe(text, self.style.unicode)
    }

    fn attributes<'a>(&self, into: Detail, attributes: impl Iterator<Item = &'a KeyValue>) -> Detail {
        attributes.fold(into, |detail, KeyValue { key, value }| {
            detail.word(DIM, format!("{}={}", self.safe(key), self.value(value)))
        })
    }

    pub fn value(&self, value: &Value) -> String {
        match value {
            Value::Text(text) => self.safe(text),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            Value::Texts(texts) => self.safe(&format!("{texts:?}")),
            Value::Ints(values) => format!("{values:?}"),
        }
    }

    /// The description, or else the exception; both where they differ.
    pub fn errors(&self, span: &SpanRecord) -> Vec<Detail> {
        let mut texts: Vec<String> = Vec::new();
        if let Status::Error(description) = &span.status {
            texts.extend((!description.is_empty()).then(|| description.to_string()));
        }
        for event in span.events.iter().filter(|event| is_exception(event)) {
            let (name, message) = exception(event);
            if !texts.iter().any(|text| text.contains(message) && !message.is_empty()) {
                let separator = if name.is_empty() || message.is_empty() { "" } else { ": " };
                texts.push(format!("{name}{separator}{message}"));
            }
        }
        if let Some(Value::Text(kind)) = span.attributes.get(semconv::ERROR_TYPE)
            && !texts.iter().any(|text| text.contains(&**kind))
            && kind.parse::<u16>().is_err()
        {
            match texts.first_mut() {
                Some(first) => *first = format!("{}: {first}", &**kind),
                None => texts.push(kind.to_string()),
            }
        }
        let error = |text: &String| Detail::new(RED, &format!("{} {}", self.glyphs().error, self.safe(text)));
        texts.iter().take(MAX_MOMENTS).map(error).collect()
    }

    /// Events and log records of a span, as they came, and what says that there are more.
    pub fn moments(&self, span: &SpanRecord, logs: &[&LogRecord]) -> (Vec<Moment>, Option<Detail>) {
        let events = span.events.iter().filter(|event| !is_exception(event));
        let of_event =
            |event: &Event| Moment { time: event.time, resource: span.resource, detail: self.event(event) };
        let of_log =
            |log: &&LogRecord| Moment { time: log.time, resource: log.resource, detail: self.log(log) };
        let mut moments: Vec<_> = events.map(of_event).chain(logs.iter().map(of_log)).collect();
        moments.sort_by_key(|moment| moment.time);
        let over = moments.len().saturating_sub(MAX_MOMENTS);
        moments.truncate(MAX_MOMENTS);
        (moments, (over > 0).then(|| self.more(&format!("{over} more events and log lines"))))
    }

    /// What happened, with its time before it.
    pub fn at(&self, moment: Moment) -> Detail {
        let Moment { time, mut detail, .. } = moment;
        detail.words.insert(0, (DIM, self.offset(time)));
        detail
    }

    fn event(&self, event: &Event) -> Detail {
        let detail = Detail::default()
            .word(PLAIN, self.glyphs().event.to_owned())
            .text(PLAIN, &self.safe(&event.name));
        if self.style.attributes { self.attributes(detail, event.attributes.iter()) } else { detail }
    }

    /// What a log record says, without its time.
    pub fn log(&self, log: &LogRecord) -> Detail {
        let (level, ink) = match log.severity {
            Severity::Trace => ("TRACE", DIM),
            Severity::Debug => ("DEBUG", DIM),
            Severity::Info => ("INFO", PLAIN),
            Severity::Warn => ("WARN", YELLOW),
            Severity::Error => ("ERROR", RED),
            Severity::Fatal => ("FATAL", RED),
        };
        let detail = Detail::new(ink, level).text(PLAIN, &self.safe(log.body.trim_end()));
        // A stack trace has no end, and a message that is the body is read already.
        let shown = log.attributes.iter().filter(|attribute| match &*attribute.key {
            semconv::EXCEPTION_STACKTRACE => false,
            semconv::EXCEPTION_MESSAGE => attribute.value != Value::Text(log.body.clone()),
            _ => true,
        });
        if self.style.attributes { self.attributes(detail, shown) } else { detail }
    }

    pub fn offset(&self, time: u64) -> String {
        format!("+{}", self.unit.show(time.saturating_sub(self.start)))
    }
}

/// The status code of an HTTP span.
pub fn status_code(span: &SpanRecord) -> Option<i64> {
    match span.attributes.get(semconv::HTTP_RESPONSE_STATUS_CODE) {
        Some(Value::Int(code)) => Some(*code),
        _ => None,
    }
}

/// Whether an attribute tells a person something that the tree does not.
pub fn is_shown(key: &str) -> bool {
    SHOWN.contains(&key) || !HIDDEN.iter().any(|family| key.starts_with(family))
}

/// Whether the name of a span has in it what an attribute says.
fn is_in_name(attribute: &KeyValue, name: &str) -> bool {
    IN_NAMES.contains(&&*attribute.key)
        && matches!(&attribute.value, Value::Text(text) if name.split(' ').any(|word| word == &**text))
}

fn is_exception(event: &Event) -> bool {
    &*event.name == "exception"
}

/// Type and message of an exception.
fn exception(event: &Event) -> (&str, &str) {
    let get = |key: &str| {
        let found = event.attributes.iter().find(|attribute| &*attribute.key == key);
        match found.map(|attribute| &attribute.value) {
            Some(Value::Text(text)) => &**text,
            _ => "",
        }
    };
    (get(semconv::EXCEPTION_TYPE), get(semconv::EXCEPTION_MESSAGE))
}
