//! What is right by a recording, and whether an answer is.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::context::TraceId;
use crate::error::quote;
use crate::telemetry::record::SpanRecord;

use super::answers::{Answer, FILE, NOTHING};
use super::cell::Ran;
use super::find::edges;
use super::finding::Finding;
use super::manifest::{Fact, Of, Quantity, Question, Truth};
use super::measure::Unit;
use super::naming;
use super::path::Trace;
use super::unknown::Known;

/// What was recorded, and what the faults did to it.
#[derive(Debug, Default)]
pub struct Recording {
    /// None if the lab records nothing.
    pub ran: Option<Ran>,
    /// The lines of the truth.
    pub truth: Vec<Json>,
}

/// What is right.
#[derive(Clone, Debug, PartialEq)]
pub enum Right {
    /// Any of these.
    Texts(BTreeSet<String>),
    Number(f64, Unit),
    Pairs(BTreeSet<(String, String)>),
}

impl Recording {
    /// What is right.
    pub fn right(&self, question: &Question) -> Option<Right> {
        match &question.truth {
            Truth::Is(text) => Some(Right::Texts([text.clone()].into())),
            Truth::Number(number) => Some(Right::Number(*number, Unit::Plain)),
            Truth::Edges => Some(Right::Pairs(edges(self.ran.as_ref()?))),
            Truth::Report(metric) => {
                let number = metric.of(&self.ran.as_ref()?.report).or(metric.of_nothing())?;
                Some(Right::Number(number, metric.unit()))
            }
            Truth::Fault(fact, fault) => Some(self.of_fault(*fact, fault.as_deref())),
            Truth::Slowest(of) => self.of_slowest(*of),
        }
    }

    /// What a fault is. Of one that has struck nothing, nothing.
    fn of_fault(&self, fact: Fact, fault: Option<&str>) -> Right {
        let is_of = |line: &&Json| fault.is_none_or(|name| line["fault"] == *name);
        let struck = |record: &str| {
            let record = record.to_owned();
            self.truth.iter().filter(move |line| line["record"] == *record)
        };
        let first =
            struck("firing").find(|line| is_of(line)).or_else(|| struck("window").find(|line| is_of(line)));
        let Some(first) = first else { return Right::Texts([NOTHING.to_owned()].into()) };
        let name = &first["fault"];
        let firings = || struck("firing").filter(|line| line["fault"] == *name);
        let texts = |key: &str| {
            let found = firings().filter_map(|line| line[key].as_str().map(str::to_owned));
            Right::Texts(found.collect())
        };
        let text = |key: &str| Right::Texts([first[key].as_str().unwrap_or(NOTHING).to_owned()].into());
        match fact {
            Fact::Kind => text("kind"),
            Fact::Name => text("fault"),
            Fact::At => Right::Number(first["at"].as_f64().unwrap_or_default() * 1e9, Unit::Time),
            Fact::Trace => texts("trace_id"),
            Fact::Replica => match firings().find_map(|line| line["replica"].as_f64()) {
                Some(replica) => Right::Number(replica, Unit::Plain),
                None => Right::Texts([NOTHING.to_owned()].into()),
            },
            Fact::Service => match texts("service") {
                // A fault that fires nothing by itself names what it is aimed at.
                Right::Texts(services) if services.is_empty() => {
                    let aimed = first["target"]["service"].as_str().unwrap_or(NOTHING);
                    Right::Texts([aimed.to_owned()].into())
                }
                services => services,
            },
            Fact::Link => {
                let link = |line: &Json| {
                    Some(format!("{} -> {}", line["from"].as_str()?, line["service"].as_str()?))
                };
                Right::Texts(firings().filter_map(link).collect())
            }
        }
    }

    fn of_slowest(&self, of: Of) -> Option<Right> {
        let ran = self.ran.as_ref()?;
        let spans = slowest(&ran.spans)?;
        let trace = Trace::new(spans);
        let root = trace.spans[trace.root()?];
        let text = |text: &str| Some(Right::Texts([text.to_owned()].into()));
        let (hot, own) = trace.hottest()?;
        let hot = trace.spans[hot];
        match of {
            Of::Id => text(&root.trace_id.to_string()),
            Of::Duration => Some(Right::Number((root.end - root.start) as f64, Unit::Time)),
            Of::Spans => Some(Right::Number(trace.spans.len() as f64, Unit::Plain)),
            Of::Span => text(&hot.name),
            Of::Service => text(&ran.resources[hot.resource.0 as usize].service),
            Of::OwnTime => Some(Right::Number(own as f64, Unit::Time)),
            Of::Gap => trace.gap().map(|gap| Right::Number(gap as f64, Unit::Time)),
        }
    }
}

/// The spans of the trace whose root takes longest; of equal ones the first.
fn slowest(spans: &[SpanRecord]) -> Option<Vec<&SpanRecord>> {
    let roots = spans.iter().filter(|span| span.parent.is_none());
    let id: TraceId =
        roots.min_by_key(|span| (std::cmp::Reverse(span.end - span.start), span.start))?.trace_id;
    Some(spans.iter().filter(|span| span.trace_id == id).collect())
}

/// What a check finds where these names are known.
pub fn find(
    question: &Question,
    answer: Option<&Answer>,
    right: Option<&Right>,
    known: &Known<'_>,
) -> Finding {
    let key = quote(&question.key);
    let want = format!("an answer to {key} that is right");
    let Some(right) = right else {
        return Finding::failed(
            None,
            want,
            format!("the recording has no answer to {key}: the lab is wrong"),
        );
    };
    let Some(answer) = answer else {
        let message = format!("there is no answer to {key} yet: write one into {FILE}");
        return Finding::failed(None, want, message);
    };
    let got = answer.shown();
    let sort = naming::sort(&question.truth, &known.services);
    if is_right(answer, right, question.tolerance, sort) {
        return Finding::passed(got, want);
    }
    if let Some(message) = known.refusal(question, answer, sort) {
        return Finding::failed(None, want, message);
    }
    let message = match (answer, right) {
        (Answer::Pairs(pairs), Right::Pairs(right)) => naming::compared(pairs, right),
        _ => format!("{} is not the answer to {key}", quote(&got)),
    };
    Finding::failed(Some(got), want, message)
}

fn is_right(answer: &Answer, right: &Right, tolerance: Option<Quantity>, sort: naming::Sort) -> bool {
    match (answer, right) {
        (Answer::Text(text), Right::Texts(right)) => {
            right.iter().any(|right| naming::is_same(text, right, sort))
        }
        (Answer::Pairs(pairs), Right::Pairs(right)) => pairs == right,
        (Answer::Number(got), Right::Number(right, unit)) => is_near(got.value, *right, *unit, tolerance),
        _ => false,
    }
}

/// Whether a number is as near to the right one as is asked for. A time is written in whole nanoseconds.
fn is_near(got: f64, right: f64, unit: Unit, tolerance: Option<Quantity>) -> bool {
    let slack = match tolerance {
        Some(Quantity { value, unit: Unit::Share }) => value * right.abs(),
        Some(Quantity { value, .. }) => value,
        None => 0.0,
    };
    let written = if unit == Unit::Time { 0.5 } else { 1e-9 };
    (got - right).abs() <= slack + written
}

impl Right {
    /// As `answers.toml` would have it.
    pub fn written(&self) -> String {
        match self {
            Self::Texts(texts) => quote(texts.first().map_or(NOTHING, String::as_str)),
            Self::Number(value, Unit::Time) => quote(&format!("{}ns", value.round() as u64)),
            Self::Number(value, _) => value.to_string(),
            Self::Pairs(pairs) => {
                let pairs: Vec<_> = pairs.iter().map(|(from, to)| format!("[{from:?}, {to:?}]")).collect();
                format!("[{}]", pairs.join(", "))
            }
        }
    }

    /// As a person would write it, with what is right beside it as a comment. A number has the fewest digits
    /// that are right, and three at least.
    pub fn told(&self, tolerance: Option<Quantity>) -> String {
        match self {
            Self::Texts(texts) if texts.len() > 1 => {
                format!("{}  # or another one of {}", self.written(), texts.len())
            }
            Self::Number(value, unit @ Unit::Time) => {
                let (factor, name) = if *value < 1e9 { (1e6, "ms") } else { (1e9, "s") };
                let is_right = |shown: f64| is_near(shown * factor, *value, *unit, tolerance);
                decimal(value / factor, is_right)
                    .map_or_else(|| self.written(), |number| quote(&(number + name)))
            }
            Self::Number(value, unit) => {
                let is_right = |shown: f64| is_near(shown, *value, *unit, tolerance);
                decimal(*value, is_right).unwrap_or_else(|| self.written())
            }
            other => other.written(),
        }
    }
}

/// A number with the fewest decimals that are right, of three digits at least; none if nine are too few.
fn decimal(value: f64, is_right: impl Fn(f64) -> bool) -> Option<String> {
    let whole = if value.abs() < 1.0 { 0 } else { libm::log10(value.abs()) as usize };
    let mut shown = (2_usize.saturating_sub(whole)..=9).map(|decimals| format!("{value:.decimals$}"));
    let text = shown.find(|text| text.parse().is_ok_and(&is_right))?;
    match text.contains('.') {
        true => Some(text.trim_end_matches('0').trim_end_matches('.').to_owned()),
        false => Some(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_right_is_told_as_a_person_writes_it() {
        let told = |right: Right| right.told(Some(Quantity { value: 0.01, unit: Unit::Share }));
        assert_eq!(told(Right::Number(64_123_456_789.0, Unit::Time)), "\"64.1s\"");
        assert_eq!(told(Right::Number(7e6, Unit::Time)), "\"7ms\"");
        assert_eq!(told(Right::Number(1234.4, Unit::Plain)), "1234");
        let texts = |texts: &[&str]| Right::Texts(texts.iter().map(|text| (*text).to_owned()).collect());
        assert_eq!(told(texts(&["orders"])), "\"orders\"");
        assert_eq!(told(texts(&["a1", "b2"])), "\"a1\"  # or another one of 2");
    }

    #[test]
    fn a_number_is_told_with_as_many_digits_as_are_right() {
        let at = Right::Number(64_123_456_789.3, Unit::Time);
        let within = |value| Some(Quantity { value, unit: Unit::Time });
        let told = [within(60e9), within(1e6), within(1e3), None].map(|tolerance| at.told(tolerance));
        assert_eq!(told, ["\"64.1s\"", "\"64.123s\"", "\"64.123457s\"", "\"64.123456789s\""]);
        assert_eq!(Right::Number(0.25, Unit::Share).told(None), "0.25");
        assert_eq!(Right::Number(0.0, Unit::Plain).told(None), "0");
        assert_eq!(Right::Number(1.0 / 3.0, Unit::Plain).told(None), "0.333333333");
    }

    #[test]
    fn a_time_may_be_off_by_a_minute() {
        let right = Right::Number(100e9, Unit::Time);
        let near = |value, tolerance| {
            let answer = Answer::Number(Quantity { value, unit: Unit::Time });
            is_right(&answer, &right, tolerance, naming::Sort::Other)
        };
        let minute = Some(Quantity { value: 60e9, unit: Unit::Time });
        assert!(near(41e9, minute) && !near(39e9, minute) && !near(99e9, None));
        let tight = Some(Quantity { value: 0.01, unit: Unit::Share });
        assert!(near(99.5e9, tight) && !near(98e9, tight));
    }
}
