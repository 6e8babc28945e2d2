//! The SQL that makes the tables of a database: its text, and where what is wrong with it stands.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use simhost_sql::{Bounds, Failure, Place, Problem as Wrong, sqlstate};

use crate::error::{Problem, SourceText, quote};
use crate::files::{self, Unreadable};
use crate::model::{self, Schema};

/// The SQLSTATE of a statement that is given too few or too many values.
const PARAMETERS: &str = "08P01";

/// The text of a schema.
pub(super) fn text(schema: &Schema, bounds: &Bounds) -> Result<Arc<str>, Problem> {
    match schema {
        Schema::File { path, place } => file(path, place, bounds),
        Schema::Inline(inline) => Ok(Arc::clone(&inline.text)),
    }
}

fn file(path: &Path, place: &model::Place, bounds: &Bounds) -> Result<Arc<str>, Problem> {
    let name = quote(&path.display().to_string());
    let problem =
        |message: String, help: &str| Problem::new(message).at(place.clone(), "this file").help(help);
    let bytes = match files::read(path, bounds.schema_bytes as u64) {
        Ok(bytes) => bytes,
        Err(Unreadable::TooLarge(most)) => {
            let help = "let `rows` make the rows";
            return Err(problem(format!("{name} is larger than {} MiB", most >> 20), help));
        }
        Err(reason) => {
            let help = "check the path; it begins at the topology's folder";
            return Err(problem(format!("cannot read {name}: {reason}"), help));
        }
    };
    let text = String::from_utf8(bytes)
        .map_err(|_| problem(format!("{name} is not UTF-8 text"), "save it as UTF-8"))?;
    Ok(Arc::from(without_mark(&text)))
}

/// A text without the byte order mark that some editors write before it.
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// What is wrong with a schema, at its place in the file or in the topology.
pub(super) fn wrong(schema: &Schema, text: &str, problems: Vec<Wrong>) -> Vec<Problem> {
    let problems = problems.into_iter();
    match schema {
        Schema::File { path, .. } => {
            let source = Arc::new(SourceText { name: path.display().to_string(), text: text.to_owned() });
            problems.map(|problem| in_text(&problem.failure, problem.place, &source)).collect()
        }
        Schema::Inline(inline) => {
            let place = |place| inline.place(word(text, place));
            problems.map(|problem| said(&problem.failure).at(place(problem.place), "here")).collect()
        }
    }
}

/// A failure of a statement, at its place in the text that has it.
pub fn in_text(failure: &Failure, place: Place, source: &Arc<SourceText>) -> Problem {
    let mut problem = said(failure).at(word(&source.text, place), "here");
    problem.source = Some(Arc::clone(source));
    problem
}

/// The word that stands at a place of a text.
pub fn word(text: &str, place: Place) -> Range<usize> {
    let line = text.split_inclusive('\n').take(place.line.saturating_sub(1)).map(str::len).sum::<usize>();
    let rest = text.get(line..).unwrap_or_default();
    let start = line + rest.char_indices().nth(place.column.saturating_sub(1)).map_or(0, |(at, _)| at);
    let behind = text.get(start..).unwrap_or_default();
    let word = behind.find(|c: char| c.is_whitespace() || ",;()".contains(c)).unwrap_or(behind.len());
    start..start + word.max(1).min(behind.len())
}

/// A failure in words.
pub(super) fn said(failure: &Failure) -> Problem {
    let problem = Problem::new(format!("{} (SQLSTATE {})", failure.message, failure.sqlstate));
    match remedy(failure) {
        // Nothing is given beside the text.
        Some(_) if failure.sqlstate == PARAMETERS => {
            problem.help("write each value in place of its parameter")
        }
        Some(remedy) => problem.help(remedy),
        None => problem,
    }
}

/// What to do about a failure in a text that has several statements with `;` between them. Its hint is for
/// who sends them one by one.
pub fn remedy(failure: &Failure) -> Option<String> {
    let hint = failure.hint.clone()?;
    let is_of_several = failure.sqlstate == sqlstate::SYNTAX && failure.message.contains("multiple commands");
    Some(if is_of_several { "write ; between two statements".to_owned() } else { hint })
}
