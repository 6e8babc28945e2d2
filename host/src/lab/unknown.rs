//! Answers that cannot be right, whatever is: they name a service, a call, a word or a trace that there is
//! not. They are not judged and cost no guess; the message has the nearest name.

use std::collections::BTreeSet;

use crate::error::{did_you_mean, list, quote};
use crate::model::Model;

use super::answers::{Answer, NOTHING};
use super::cell::Ran;
use super::manifest::Question;
use super::naming::{DIGITS, DIGITS_AT_LEAST, Sort, ends};

/// What an answer may name.
#[derive(Debug)]
pub struct Known<'a> {
    pub services: BTreeSet<&'a str>,
    /// What is called beside services: databases and caches.
    others: BTreeSet<&'a str>,
    /// None if the lab records nothing.
    ran: Option<&'a Ran>,
}

impl<'a> Known<'a> {
    /// In a system, and in its recording.
    pub fn new(model: &'a Model, ran: Option<&'a Ran>) -> Self {
        let databases = model.databases.iter().map(|database| &*database.name);
        Self {
            services: model.services.iter().map(|service| &*service.name).collect(),
            others: databases.chain(model.caches.iter().map(|cache| &*cache.name)).collect(),
            ran,
        }
    }

    /// Why an answer is not judged; none if it may be.
    pub fn refusal(&self, question: &Question, answer: &Answer, sort: Sort) -> Option<String> {
        let key = quote(&question.key);
        match answer {
            Answer::Text(text) if !question.choices.is_empty() => {
                (!question.choices.contains(text)).then(|| {
                    let choices = list(question.choices.iter().map(String::as_str));
                    format!("{} is no answer to {key}: write one of {choices}", quote(text))
                })
            }
            Answer::Text(text) if text == NOTHING => None,
            Answer::Text(text) => match sort {
                Sort::Service => self.service(text, &key),
                Sort::Link => self.link(text, &key),
                Sort::Trace => self.trace(text),
                Sort::Other => None,
            },
            Answer::Pairs(pairs) => {
                pairs.iter().flat_map(|(from, to)| [from, to]).find_map(|end| self.service(end, &key))
            }
            Answer::Number(_) => None,
        }
    }

    fn service(&self, name: &str, key: &str) -> Option<String> {
        (!self.services.contains(name)).then(|| self.nearest(name, key))
    }

    fn nearest(&self, name: &str, key: &str) -> String {
        let form = if name.contains("->") { "write one name; " } else { "" };
        let help = did_you_mean(name, "services", self.services.iter().copied());
        format!("{} in the answer to {key} is no service of the system: {form}{help}", quote(name))
    }

    fn link(&self, text: &str, key: &str) -> Option<String> {
        let Some((from, to)) = ends(text) else {
            let said = quote(text);
            return Some(format!("{said} is no call of one service by another: write it as \"a -> b\""));
        };
        let unknown = |end: &&str| !self.services.contains(end) && !self.others.contains(end);
        [from, to].into_iter().find(unknown).map(|end| self.nearest(end, key))
    }

    fn trace(&self, text: &str) -> Option<String> {
        let said = quote(text);
        let is_id = (DIGITS_AT_LEAST..=DIGITS).contains(&text.len())
            && text.chars().all(|digit| digit.is_ascii_hexdigit());
        if !is_id {
            let form = format!("its {DIGITS} digits, or the first {DIGITS_AT_LEAST} or more");
            return Some(format!("{said} is no id of a trace: write {form}"));
        }
        // Of a recording that was too long some traces are not known.
        let ran = self.ran.filter(|ran| ran.lost == 0)?;
        let text = text.to_ascii_lowercase();
        let is_there = ran.spans.iter().any(|span| span.trace_id.to_string().starts_with(&text));
        (!is_there).then(|| {
            format!("{said} is no id of this recording: `simhost traces telemetry.jsonl --list` has them")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::manifest::{Fact, Truth};

    fn refusal(text: &str, sort: Sort) -> Option<String> {
        let known = Known { services: ["a", "b"].into(), others: ["rows"].into(), ran: None };
        let question = Question {
            key: "key".to_owned(),
            truth: Truth::Fault(Fact::Trace, None),
            tolerance: None,
            choices: Vec::new(),
        };
        known.refusal(&question, &Answer::Text(text.to_owned()), sort)
    }

    #[test]
    fn the_first_digits_of_an_id_may_be_an_answer() {
        assert_eq!(refusal("8ed5a384", Sort::Trace), None);
        assert!(refusal("8ed5a38", Sort::Trace).is_some() && refusal("the first", Sort::Trace).is_some());
    }

    #[test]
    fn both_ends_of_a_call_are_there() {
        let none = ["a -> b", "a->rows", NOTHING].map(|text| refusal(text, Sort::Link));
        assert_eq!(none, [None, None, None]);
        assert!(["b", "a -> c", "c -> b"].iter().all(|text| refusal(text, Sort::Link).is_some()));
        assert!(refusal("rows", Sort::Service).is_some());
    }
}
