//! What a student has found out: `answers.toml`, beside what the recording says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::context::TraceId;
use crate::error::{Problem, Refused, did_you_mean, list, quote};
use crate::telemetry::record::SpanRecord;
use crate::topology::syntax;

use super::cell::Ran;
use super::files;
use super::find::edges;
use super::finding::Finding;
use super::manifest::{Fact, Of, Quantity, Question, Truth};
use super::measure::Unit;
use super::naming;
use super::path::Trace;

/// The file in the student's folder.
pub const FILE: &str = "answers.toml";

/// What is right where nothing went wrong.
pub const NOTHING: &str = "none";

/// What a student has written under a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Text(String),
    Number(Quantity),
    Pairs(BTreeSet<(String, String)>),
}

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

/// Reads the answers to these questions. What is left empty is left out.
///
/// # Errors
/// Everything in the file that is no answer.
pub fn read(folder: &Path, questions: &[&Question]) -> Result<BTreeMap<String, Answer>, Refused> {
    let path = folder.join(FILE);
    let refused = |problem| Refused::new(None, vec![problem]);
    files::stay_within(folder, &path, "the file answers.toml").map_err(refused)?;
    let text = files::read_text(&path).map_err(refused)?;
    parse(&path.display().to_string(), &text, questions)
}

fn parse(name: &str, text: &str, questions: &[&Question]) -> Result<BTreeMap<String, Answer>, Refused> {
    let refused = |problems| Refused::new(Some((name, text)), problems);
    let document = DeTable::parse(text).map_err(|error| refused(vec![syntax::problem(text, &error)]))?;
    let (mut answers, mut problems) = (BTreeMap::new(), Vec::new());
    let mut entries: Vec<_> = document.get_ref().iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in entries {
        let name = key.get_ref().as_ref();
        let Some(question) = questions.iter().find(|question| question.key == name) else {
            let known = questions.iter().map(|question| question.key.as_str());
            let problem = Problem::new(format!("{} is no question of this lab", quote(name)));
            problems.push(problem.at(key.span(), "not asked").help(did_you_mean(name, "keys", known)));
            continue;
        };
        match answer(value, question) {
            Ok(Some(answer)) => drop(answers.insert(name.to_owned(), answer)),
            Ok(None) => {}
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(answers) } else { Err(refused(problems)) }
}

/// An answer of the type that the question has; none if it is left empty.
fn answer(value: &Spanned<DeValue<'_>>, question: &Question) -> Result<Option<Answer>, Problem> {
    let wrong = |help: &str| {
        let problem = Problem::new(format!("the answer to {} is of the wrong type", quote(&question.key)));
        problem.at(value.span(), "not like this").help(help)
    };
    match (value.get_ref(), &question.truth) {
        (DeValue::String(text), _) if text.trim().is_empty() => Ok(None),
        (DeValue::String(text), _) if text.trim() == NOTHING => Ok(Some(Answer::Text(NOTHING.to_owned()))),
        (DeValue::Array(items), Truth::Edges) if items.is_empty() => Ok(None),
        (DeValue::Array(items), Truth::Edges) => {
            let pairs: Option<BTreeSet<_>> = items.iter().map(|item| pair(item.get_ref())).collect();
            let pairs = pairs.ok_or_else(|| wrong("write [[\"caller\", \"callee\"], …]"))?;
            Ok(Some(Answer::Pairs(pairs)))
        }
        (_, Truth::Edges) => Err(wrong("write [[\"caller\", \"callee\"], …]")),
        (value, truth) => match (truth.unit(), value) {
            (Some(unit), value) => match (number(value, unit), truth, value) {
                (Some(quantity), ..) => Ok(Some(Answer::Number(quantity))),
                (None, Truth::Fault(Fact::Replica, _), DeValue::String(text)) => {
                    let number = naming::replica(text);
                    let number = number.ok_or_else(|| wrong("write the number of the replica, such as 0"));
                    Ok(Some(Answer::Number(Quantity { value: number?, unit })))
                }
                (None, Truth::Fault(Fact::At, _), _) => {
                    Err(wrong("write a time from the start of the recording, such as \"75s\""))
                }
                (None, ..) => Err(wrong(&format!("write {}", unit.form()))),
            },
            (None, DeValue::String(text)) => Ok(Some(Answer::Text(text.trim().to_owned()))),
            (None, _) => Err(wrong("write text in quotes")),
        },
    }
}

fn pair(value: &DeValue<'_>) -> Option<(String, String)> {
    match value {
        DeValue::Array(ends) => match ends.iter().map(Spanned::get_ref).collect::<Vec<_>>().as_slice() {
            [DeValue::String(from), DeValue::String(to)] => Some((from.to_string(), to.to_string())),
            _ => None,
        },
        DeValue::String(text) => {
            let (from, to) = text.split_once("->")?;
            Some((from.trim().to_owned(), to.trim().to_owned()))
        }
        _ => None,
    }
}

/// A number as people write it: a time has a unit, a bare one is seconds.
fn number(value: &DeValue<'_>, unit: Unit) -> Option<Quantity> {
    let bare = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let value = match (value, unit) {
        (DeValue::Integer(number), _) => bare(number.as_str()).map(|number| as_written(number, unit)),
        (DeValue::Float(number), _) => bare(number.as_str()).map(|number| as_written(number, unit)),
        (DeValue::String(text), Unit::Time) => {
            crate::topology::duration(text.trim()).ok().map(|nanos| nanos as f64)
        }
        (DeValue::String(text), Unit::Share) => {
            bare(text.trim().strip_suffix('%')?.trim()).map(|percent| percent / 100.0)
        }
        (DeValue::String(text), Unit::Plain) => bare(text.trim()),
        _ => None,
    };
    value.map(|value| Quantity { value, unit })
}

fn as_written(number: f64, unit: Unit) -> f64 {
    if unit == Unit::Time { number * 1e9 } else { number }
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

/// What a check finds in a system of these services.
pub fn find(
    question: &Question,
    answer: Option<&Answer>,
    right: Option<&Right>,
    services: &[String],
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
    let got = show(answer);
    if let (Answer::Text(text), [_, ..]) = (answer, question.choices.as_slice())
        && !question.choices.contains(text)
    {
        let choices = list(question.choices.iter().map(String::as_str));
        let message = format!("{} is no answer to {key}: write one of {choices}", quote(&got));
        return Finding::failed(None, want, message);
    }
    let sort = naming::sort(&question.truth, services);
    if is_right(answer, right, question.tolerance, sort) {
        return Finding::passed(got, want);
    }
    let refusal = match answer {
        Answer::Text(text) if text != NOTHING => naming::refusal(text, sort),
        Answer::Pairs(pairs) => naming::refusal_of_edges(pairs, services),
        _ => None,
    };
    if let Some(message) = refusal {
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
        (Answer::Number(got), Right::Number(right, _)) => {
            let slack = match tolerance {
                Some(Quantity { value, unit: Unit::Share }) => value * right.abs(),
                Some(Quantity { value, .. }) => value,
                None => 0.0,
            };
            (got.value - right).abs() <= slack + 1e-9
        }
        _ => false,
    }
}

fn show(answer: &Answer) -> String {
    match answer {
        Answer::Text(text) => text.clone(),
        Answer::Number(quantity) => quantity.unit.show(quantity.value),
        Answer::Pairs(pairs) => {
            pairs.iter().map(|(from, to)| format!("{from} -> {to}")).collect::<Vec<_>>().join(", ")
        }
    }
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
}

impl Right {
    /// As a person would write it, with what is right beside it as a comment.
    pub fn told(&self) -> String {
        match self {
            Self::Texts(texts) if texts.len() > 1 => {
                format!("{}  # or another one of {}", self.written(), texts.len())
            }
            Self::Number(value, Unit::Time) => {
                let number = crate::report::words::number(value / 1e9);
                quote(&format!("{}s", number.replace(',', "")))
            }
            other => other.written(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(key: &str, truth: Truth) -> Question {
        Question { key: key.to_owned(), truth, tolerance: None, choices: Vec::new() }
    }

    #[test]
    fn an_answer_has_the_type_of_its_question() {
        let service = question("service", Truth::Fault(Fact::Service, None));
        let at = question("at", Truth::Fault(Fact::At, None));
        let asked = [&service, &at];
        let read = parse("answers.toml", "service = \"a\"\nat = \"1m35s\"", &asked).expect("answers");
        assert_eq!(read["at"], Answer::Number(Quantity { value: 95e9, unit: Unit::Time }));
        assert!(parse("answers.toml", "service = \"\"", &asked).expect("none").is_empty());
        let refused =
            parse("answers.toml", "service = 3\nat = \"soon\"\nwho = \"x\"", &asked).expect_err("wrong");
        assert_eq!(refused.problems().count(), 3);
    }

    #[test]
    fn what_is_right_is_told_as_a_person_writes_it() {
        let told = |right: Right| right.told();
        assert_eq!(told(Right::Number(64_123_456_789.0, Unit::Time)), "\"64.1s\"");
        assert_eq!(told(Right::Number(7e6, Unit::Time)), "\"0.007s\"");
        let texts = |texts: &[&str]| Right::Texts(texts.iter().map(|text| (*text).to_owned()).collect());
        assert_eq!(told(texts(&["orders"])), "\"orders\"");
        assert_eq!(told(texts(&["a1", "b2"])), "\"a1\"  # or another one of 2");
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
