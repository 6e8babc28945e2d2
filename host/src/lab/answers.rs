//! What a student has found out: `answers.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{Problem, Refused, did_you_mean, quote};
use crate::topology::{syntax, units};

use super::files;
use super::manifest::{Fact, Of, Quantity, Question, Truth};
use super::measure::Unit;
use super::naming;

/// The file in the student's folder.
pub const FILE: &str = "answers.toml";

/// A number that is greater is not repeated in a message.
const REPEATED_BELOW: f64 = 1e9;

/// The most that a whole number may be: of spans, of a replica.
const WHOLE_AT_MOST: f64 = 4_294_967_295.0;

/// The most that any other number may be.
const NUMBER_AT_MOST: f64 = 1e15;

/// What is right where nothing went wrong.
pub const NOTHING: &str = "none";

/// What a student has written under a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Text(String),
    Number(Quantity),
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
    let refused =
        |problems| Refused::new(Some((name, text)), problems).after("nothing was judged".to_owned());
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
fn answer(found: &Spanned<DeValue<'_>>, question: &Question) -> Result<Option<Answer>, Problem> {
    let at = |problem: Problem| {
        let label = problem.label.clone();
        problem.at(found.span(), label)
    };
    let wrong = |help: &str| at(wrong(question, help));
    match (found.get_ref(), &question.truth) {
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
            (Some(Unit::Time), value) => time(value, question).map_err(at).map(Some),
            (Some(unit), value) => number(value, question, unit).map_err(at).map(Some),
            (None, DeValue::String(text)) => Ok(Some(Answer::Text(text.trim().to_owned()))),
            (None, _) => Err(wrong("write text in quotes")),
        },
    }
}

fn wrong(question: &Question, help: &str) -> Problem {
    let problem = Problem::new(format!("the answer to {} is of the wrong type", quote(&question.key)));
    problem.label("not like this").help(help)
}

/// A length of time, which has a unit.
fn time(value: &DeValue<'_>, question: &Question) -> Result<Answer, Problem> {
    if let Some(number) = bare(value).filter(|number| number.is_finite()) {
        return Err(without_unit(&question.key, number));
    }
    let is_meant = |text: &str| text.starts_with(|c: char| c.is_ascii_digit() || "+-.\u{2212}".contains(c));
    match value {
        DeValue::String(text) if is_meant(text.trim()) => match units::parse_duration(text) {
            Ok(nanos) => Ok(Answer::Number(Quantity { value: nanos as f64, unit: Unit::Time })),
            Err(problem) => {
                let message = format!("the answer to {}: {}", quote(&question.key), problem.message);
                Err(Problem { message, ..problem })
            }
        },
        _ if matches!(question.truth, Truth::Fault(Fact::At, _)) => {
            Err(wrong(question, "write a time from the start of the recording, such as \"75s\""))
        }
        _ => Err(wrong(question, &format!("write {}", Unit::Time.form()))),
    }
}

/// A number without a unit, or a share, within what it can be.
fn number(value: &DeValue<'_>, question: &Question, unit: Unit) -> Result<Answer, Problem> {
    let is_whole = matches!(question.truth, Truth::Slowest(Of::Spans) | Truth::Fault(Fact::Replica, _));
    let (written, found) = match value {
        DeValue::String(text) => match text.trim().strip_suffix('%').filter(|_| unit == Unit::Share) {
            Some(percent) => (text.trim(), percent.trim().parse().ok().map(|percent: f64| percent / 100.0)),
            None => (text.trim(), bare(value)),
        },
        DeValue::Integer(integer) => (integer.as_str(), bare(value)),
        DeValue::Float(float) => (float.as_str(), bare(value)),
        _ => ("", None),
    };
    let named = match (&question.truth, value) {
        (Truth::Fault(Fact::Replica, _), DeValue::String(text)) => naming::replica(text),
        _ => None,
    };
    let Some(number) = found.filter(|number| !number.is_nan()).or(named) else {
        return Err(match &question.truth {
            Truth::Fault(Fact::Replica, _) => wrong(question, "write the number of the replica, such as 0"),
            _ if is_whole => wrong(question, "write a whole number, such as 12"),
            _ => wrong(question, &format!("write {}", unit.form())),
        });
    };
    let (least, most) = match question.truth {
        Truth::Number(_) => (-NUMBER_AT_MOST, NUMBER_AT_MOST),
        _ if is_whole => (0.0, WHOLE_AT_MOST),
        _ => (0.0, NUMBER_AT_MOST),
    };
    let kind = if is_whole { "whole number" } else { "number" };
    let problem = |what: &str, label: &str| {
        let problem = Problem::new(format!("the answer to {} is {what}: {written}", quote(&question.key)));
        Err(problem.label(label).help(format!("write a {kind} from {least} to {most}")))
    };
    match number {
        _ if number < least => problem("out of range", "too small"),
        _ if number > most => problem("out of range", "too large"),
        _ if is_whole && number.fract() != 0.0 => problem("no whole number", "not whole"),
        value => Ok(Answer::Number(Quantity { value, unit })),
    }
}

fn pair(value: &DeValue<'_>) -> Option<(String, String)> {
    match value {
        DeValue::Array(ends) => match ends.iter().map(Spanned::get_ref).collect::<Vec<_>>().as_slice() {
            [DeValue::String(from), DeValue::String(to)] => {
                Some((from.trim().to_owned(), to.trim().to_owned()))
            }
            _ => None,
        },
        DeValue::String(text) => {
            let (from, to) = text.split_once("->")?;
            Some((from.trim().to_owned(), to.trim().to_owned()))
        }
        _ => None,
    }
}

/// A number without a unit, with quotes or without. It may be without end.
fn bare(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Integer(number) if number.radix() != 10 => {
            u64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number as f64)
        }
        DeValue::Integer(number) => number.as_str().parse().ok(),
        DeValue::Float(number) => number.as_str().parse().ok(),
        DeValue::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// The problem of a time that is a number alone: nobody can tell which one is meant.
fn without_unit(key: &str, number: f64) -> Problem {
    let problem = Problem::new(format!("the answer to {} is a number without a unit", quote(key)));
    let problem = problem.label("of what?");
    match (0.0..REPEATED_BELOW).contains(&number) {
        true => problem.help(format!(
            "write {key} = \"{number}ms\" if you mean milliseconds, {key} = \"{number}s\" if you mean \
             seconds; the units are ns, us, ms, s, m, h"
        )),
        false => problem.help(format!("write {}; the units are ns, us, ms, s, m, h", Unit::Time.form())),
    }
}

impl Answer {
    /// As a message shows it.
    pub fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(quantity) => quantity.unit.show(quantity.value),
            Self::Pairs(pairs) => {
                pairs.iter().map(|(from, to)| format!("{from} -> {to}")).collect::<Vec<_>>().join(", ")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::manifest::Of;

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
    fn a_time_without_a_unit_is_no_answer() {
        let gap = question("gap", Truth::Slowest(Of::Gap));
        for text in ["gap = 520", "gap = 1.5", "gap = \"520\""] {
            let refused = parse("answers.toml", text, &[&gap]).expect_err(text);
            let problem = refused.problems().next().expect("one");
            assert!(problem.message.contains("without a unit"), "{text}: {}", problem.message);
            assert!(
                problem.help.as_deref().is_some_and(|help| help.contains("ms\" if you mean milliseconds")),
                "{text}"
            );
        }
        let read = parse("answers.toml", "gap = \"520 us\"", &[&gap]).expect("an answer");
        assert_eq!(read["gap"], Answer::Number(Quantity { value: 520e3, unit: Unit::Time }));
    }
}
