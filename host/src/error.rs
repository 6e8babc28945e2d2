//! Errors as a person reads them: the value, the place and the remedy.

use std::fmt;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

use crate::model::Place;

/// One thing that is wrong with the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, with the value: `unknown service "inventry-service"`.
    pub message: String,
    /// Where in the topology; none when the command line or the environment is at fault.
    pub at: Option<Place>,
    /// A few words under the caret.
    pub label: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Problem {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), at: None, label: String::new(), help: None }
    }

    pub fn at(mut self, place: Place, label: impl Into<String>) -> Self {
        self.at = Some(place);
        self.label = label.into();
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The input is refused, for all of these reasons. Nothing has started.
#[derive(Debug)]
pub struct Refused {
    /// `cannot run topologies/orders.toml: 3 problems`.
    headline: String,
    problems: Vec<Found>,
}

impl Refused {
    /// `source` is the file's name and text, if there is one to point into.
    pub fn new(source: Option<(&str, &str)>, problems: Vec<Problem>) -> Self {
        let count = match problems.len() {
            1 => "1 problem".to_owned(),
            count => format!("{count} problems"),
        };
        let headline = match source {
            Some((name, _)) => format!("{name} cannot run: {count}"),
            None => format!("cannot run: {count}"),
        };
        let problems = problems
            .into_iter()
            .map(|problem| Found {
                source: source
                    .filter(|_| problem.at.is_some())
                    .map(|(name, text)| NamedSource::new(name, text.to_owned())),
                problem,
            })
            .collect();
        Self { headline, problems }
    }

    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().map(|found| &found.problem)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline)
    }
}

impl std::error::Error for Refused {}

impl Diagnostic for Refused {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.problems.iter().map(|found| found as &dyn Diagnostic)))
    }
}

/// A problem together with the text that it points into.
#[derive(Debug)]
struct Found {
    problem: Problem,
    source: Option<NamedSource<String>>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for Found {}

impl Diagnostic for Found {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.problem.at.clone()?;
        let label = Some(self.problem.label.clone()).filter(|label| !label.is_empty());
        let span = LabeledSpan::new(label, place.start, place.end.saturating_sub(place.start));
        Some(Box::new(std::iter::once(span)))
    }
}
