//! Errors as a person reads them: the value, the place and the remedy.

use std::fmt;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, SourceCode};

use crate::model::Place;

mod columns;
mod excerpt;
mod render;

pub use columns::{columns, width};
use excerpt::Source;
pub use render::{Look, wrap};
pub use simhost_notation::{did_you_mean, list, nearest, quote, show_share};

/// Why writing into a `String` is expected to succeed.
pub const INFALLIBLE: &str = "a String takes every write";

/// Problems that a report keeps; of the others it says only how many there are.
pub const SHOWN_AT_MOST: usize = 50;

/// Bytes of text around a problem that a report shows whole: of one that stands in several lines, and where
/// there are only words. Longer ones get the position in words.
const SNIPPET_AT_MOST: usize = 2_000;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It can only be a mistake: the input is refused.
    #[default]
    Error,
    /// It may be a mistake: it is reported, and refused only with `--strict`.
    Warning,
}

/// A file that a topology names, for problems in it.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceText {
    pub name: String,
    pub text: String,
}

/// One thing that is wrong with the input, or may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    /// What is wrong, with the value: `unknown service "inventry-service"`.
    pub message: String,
    /// Where in the topology; none when the command line or the environment is at fault.
    pub at: Option<Place>,
    /// The file that `at` points into, if it is another one than the topology.
    pub source: Option<Arc<SourceText>>,
    /// A few words under the caret.
    pub label: String,
    /// What to do about it.
    pub help: Option<String>,
    /// It is about a fault, and names it: nothing for `--blind`.
    pub is_of_fault: bool,
    /// The machine is in the way, and the input may be good.
    pub is_of_surroundings: bool,
}

impl Problem {
    pub fn new(message: impl Into<String>) -> Self {
        let severity = Severity::Error;
        let (message, label) = (message.into(), String::new());
        Self {
            severity,
            message,
            at: None,
            source: None,
            label,
            help: None,
            is_of_fault: false,
            is_of_surroundings: false,
        }
    }

    /// A problem that may be none: the input is accepted.
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::new(message) }
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    pub fn at(mut self, place: Place, label: impl Into<String>) -> Self {
        self.at = Some(place);
        self.label = label.into();
        self
    }

    /// The words under the caret, for a problem that gets its place later.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same, with more to do about it.
    pub fn and_help(self, more: &str) -> Self {
        let help = self.help.as_ref().map_or_else(|| more.to_owned(), |help| format!("{help}; {more}"));
        self.help(help)
    }

    /// Marks it as one that is about a fault.
    pub const fn of_fault(mut self) -> Self {
        self.is_of_fault = true;
        self
    }

    /// Marks it as one of the machine, not of the input.
    pub const fn of_surroundings(mut self) -> Self {
        self.is_of_surroundings = true;
        self
    }
}

/// Problems of one input, with the text that they point into.
#[derive(Clone, Debug, Default)]
struct Findings {
    /// `topologies/orders.toml`.
    file: Option<String>,
    problems: Vec<Found>,
    /// Problems that are counted and not kept.
    further: usize,
    /// What has happened all the same, for a headline.
    before: Option<String>,
}

impl Findings {
    /// `source` is the file's name and text, if there is one to point into.
    fn new(source: Option<(&str, &str)>, mut problems: Vec<Problem>, further: usize) -> Self {
        for problem in &mut problems {
            // What a guest printed or called its routes may be in it.
            problem.message = printable(&problem.message);
            problem.label = printable(&problem.label);
            problem.help = problem.help.as_deref().map(printable);
        }
        let name = source.map(|(name, _)| printable(name));
        let further = further + problems.len().saturating_sub(SHOWN_AT_MOST);
        problems.truncate(SHOWN_AT_MOST);
        // One text for all: a problem each in a file of a megabyte must not cost a megabyte each.
        let text = source.map(|(_, text)| Arc::<str>::from(file_printable(text)));
        let shared = name.as_deref().zip(text);
        let problems = problems
            .into_iter()
            .map(|problem| match (&shared, &problem.at) {
                (_, Some(_)) if problem.source.is_some() => in_other_file(problem),
                (Some((name, text)), Some(_)) => in_file(problem, name, text),
                _ => Found { problem, source: None },
            })
            .collect();
        Self { file: name, problems, further, before: None }
    }

    /// What has not happened, for a headline.
    fn outcome(&self) -> String {
        match (&self.before, &self.file) {
            (Some(before), _) => before.clone(),
            (None, Some(file)) => format!("{file} cannot run"),
            // Flags, or a file that cannot be read, of whichever command.
            (None, None) => "nothing was done".to_owned(),
        }
    }
}

/// The input is refused, for all of these reasons. Nothing has started.
#[derive(Debug)]
pub struct Refused(Findings);

impl Refused {
    /// `source` is the file's name and text, if there is one to point into.
    pub fn new(source: Option<(&str, &str)>, problems: Vec<Problem>) -> Self {
        Self::counted(source, problems, 0)
    }

    /// Like [`new`](Self::new), with `further` problems beside those listed.
    pub fn counted(source: Option<(&str, &str)>, problems: Vec<Problem>, further: usize) -> Self {
        Self(Findings::new(source, problems, further))
    }

    /// The same refusal, of something that had begun: `before` says what was done.
    pub fn after(mut self, before: String) -> Self {
        self.0.before = Some(before);
        self
    }

    /// The same refusal, for further reasons that are not in the file.
    pub fn with(mut self, more: Vec<Problem>) -> Self {
        self.0.problems.extend(Findings::new(None, more, 0).problems);
        self
    }

    /// The same refusal, where whoever gave the input did not make what is wrong.
    pub fn of_surroundings(mut self) -> Self {
        self.0.problems.iter_mut().for_each(|found| found.problem.is_of_surroundings = true);
        self
    }

    /// Whether one of the problems is not of the input.
    pub fn is_of_surroundings(&self) -> bool {
        self.problems().any(|problem| problem.is_of_surroundings)
    }

    /// The problems, at most the first 50.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.0.problems.iter().map(|found| &found.problem)
    }

    /// The same, each with its place.
    pub fn places(&self) -> impl Iterator<Item = (&Problem, Option<At<'_>>)> {
        self.0.problems.iter().map(|found| {
            let file = found.source.as_ref().map(Source::name);
            (&found.problem, file.zip(found.position()))
        })
    }
}

/// A file, with a line and a column, from 1.
pub type At<'a> = (&'a str, (usize, usize));

/// What is doubtful about an input that is accepted.
#[derive(Clone, Debug, Default)]
pub struct Warnings(Findings);

impl Warnings {
    /// `source` is the name and the text of the file that the problems point into.
    pub fn new(source: (&str, &str), problems: Vec<Problem>) -> Self {
        Self(Findings::new(Some(source), problems, 0))
    }

    pub fn is_empty(&self) -> bool {
        self.0.problems.is_empty()
    }

    /// Leaves out what `others` say of the same file.
    pub fn leave_out(&mut self, others: &Self) {
        if self.0.file == others.0.file {
            let known = |found: &Found| others.0.problems.iter().any(|other| other.problem == found.problem);
            self.0.problems.retain(|found| !known(found));
        }
    }

    /// The problems, at most the first 50, each with its line and column in the file, from 1.
    pub fn problems(&self) -> impl Iterator<Item = (&Problem, Option<(usize, usize)>)> {
        self.0.problems.iter().map(|found| (&found.problem, found.position()))
    }
}

impl Found {
    /// Its line and column in the file, from 1.
    fn position(&self) -> Option<(usize, usize)> {
        let text = self.source.as_ref().map(Source::text);
        let before = self.problem.at.as_ref().zip(text).and_then(|(at, text)| text.get(..at.start));
        before.map(line_and_column)
    }
}

/// Whether a character would steer a terminal: control characters but the end of a line and the tab, and
/// those that change the direction of text (Unicode Standard Annex 9, table 4).
pub fn steers_terminal(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with `?` for what would steer a terminal, every byte in its place.
pub fn printable(text: &str) -> String {
    masked(text, |_| false)
}

/// The same for the text of a file, whose lines may end with `\r\n`.
fn file_printable(text: &str) -> String {
    masked(text, |at| text[at..].starts_with("\r\n"))
}

fn masked(text: &str, is_kept: impl Fn(usize) -> bool) -> String {
    if !text.contains(steers_terminal) {
        return text.to_owned();
    }
    text.char_indices().fold(String::with_capacity(text.len()), |mut shown, (at, c)| {
        match steers_terminal(c) && !is_kept(at) {
            true => shown.extend(std::iter::repeat_n('?', c.len_utf8())),
            false => shown.push(c),
        }
        shown
    })
}

/// Where a report looks for a problem: its lines, and one more on each side.
fn snippet(text: &str, at: &Place) -> Place {
    let before = text.get(..at.start).unwrap_or(text);
    let start = before.rmatch_indices('\n').nth(1).map_or(0, |(at, _)| at + 1);
    let after = text.get(at.end..).unwrap_or("");
    let end = after.match_indices('\n').nth(1).map_or(text.len(), |(more, _)| at.end + more);
    start..end
}

/// Whether the lines of a problem are too long to be shown whole.
fn is_long(text: &str, at: &Place) -> bool {
    snippet(text, at).len() > SNIPPET_AT_MOST
}

/// A problem of a file. A single line can be cut where it is shown, several cannot.
fn in_file(problem: Problem, name: &str, text: &Arc<str>) -> Found {
    let has_several = |at: &Place| text.get(at.clone()).is_some_and(|lines| lines.contains('\n'));
    match &problem.at {
        Some(at) if is_long(text, at) && has_several(at) => {
            Found { problem: in_words(problem, name, text), source: None }
        }
        _ => Found { problem, source: Some(Source::new(name, Arc::clone(text))) },
    }
}

/// A problem of a file that the topology names.
fn in_other_file(problem: Problem) -> Found {
    let Some(source) = &problem.source else { return Found { problem, source: None } };
    let (name, text) = (printable(&source.name), Arc::<str>::from(file_printable(&source.text)));
    in_file(problem, &name, &text)
}

/// The problem with its position in the message, for lines too long to show.
fn in_words(mut problem: Problem, name: &str, text: &str) -> Problem {
    if let Some(before) = problem.at.take().and_then(|at| text.get(..at.start)) {
        let (line, column) = line_and_column(before);
        problem.message = format!("{name}:{line}:{column}: {}", problem.message);
    }
    problem
}

/// Where a text ends, counted in lines and characters from 1.
fn line_and_column(text: &str) -> (usize, usize) {
    let last = text.rsplit('\n').next().unwrap_or_default();
    (text.matches('\n').count() + 1, last.chars().count() + 1)
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Findings { problems, further, .. }) = self;
        // Those that are not kept are errors: warnings come behind them.
        let warnings = problems.iter().filter(|found| !found.problem.is_error()).count();
        let errors = problems.len() - warnings + further;
        let outcome = self.0.outcome();
        match (errors, warnings) {
            (0, warnings) => write!(f, "{outcome} with --strict: {}", counted(warnings, "warning")),
            (errors, 0) => write!(f, "{outcome}: {}", counted(errors, "problem")),
            (errors, warnings) => {
                let (errors, warnings) = (counted(errors, "problem"), counted(warnings, "warning"));
                write!(f, "{outcome}: {errors} and {warnings}")
            }
        }
    }
}

impl fmt::Display for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.problems.len() + self.0.further;
        write!(f, "{}: {}", self.0.file.as_deref().unwrap_or("this"), counted(count, "warning"))
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

impl std::error::Error for Refused {}

impl Diagnostic for Refused {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.0.problems.iter().map(|found| found as &dyn Diagnostic)))
    }
}

/// A problem together with the text that it points into.
#[derive(Clone, Debug)]
struct Found {
    problem: Problem,
    source: Option<Source>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for Found {}

impl Diagnostic for Found {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.problem.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_problem_steers_the_terminal() {
        let bad = "x\r\u{2713} x: good\u{1b}[2J \u{202e}\u{2066}\u{9b}1m";
        let text = format!("a = 1\r\nb = 2 # {bad}\r\n");
        let problem = || Problem::new(bad).at(7..12, bad).help(bad);
        let refused = Refused::new(Some((bad, &text)), vec![problem()]).with(vec![Problem::new(bad)]);
        for plain in [false, true] {
            let shown = refused.render(Look { plain, ..Look::PLAIN });
            assert!(!shown.contains(steers_terminal), "{shown:?}");
        }
    }

    #[test]
    fn printable_text_keeps_every_byte_in_its_place() {
        assert_eq!(printable("a\r\n\tb\u{202e}c"), "a?\n\tb???c");
        assert_eq!(file_printable("a\r\n\rb"), "a\r\n?b");
    }
}
