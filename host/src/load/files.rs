//! Files that loads name: recorded arrivals, lists of names.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use crate::clock;
use crate::error::{Problem, quote};
use crate::files::{self, Unreadable};
use crate::model::{Arrivals, Draw, Model, Names, Nanos, Place, Replay, Traffic};
use crate::topology;

/// Arrivals in a file. Each takes eight bytes as long as the run.
const ARRIVALS_AT_MOST: usize = 5_000_000;

/// Names in a file.
const NAMES_AT_MOST: usize = 100_000;

/// Bytes of a file of arrivals, and of one of names.
const ARRIVALS_BYTES: u64 = 256 << 20;
const NAMES_BYTES: u64 = 16 << 20;

/// Lines that are wrong in a file; of the others nothing is said.
const WRONG_AT_MOST: usize = 5;

/// Reads the files of the loads that are enabled, in place of their names.
/// Gives what is wrong with them.
pub fn read(model: &mut Model) -> Vec<Problem> {
    let mut problems = Vec::new();
    for load in model.loads.iter_mut().filter(|load| load.enabled) {
        if let Traffic::Open(Arrivals::Replay(replay)) = &mut load.traffic
            && let Replay::File { path, place } = &*replay
        {
            match arrivals(path, place) {
                Ok(instants) => *replay = Replay::Read(instants),
                Err(more) => problems.extend(more),
            }
        }
        for value in &mut load.values {
            if let Draw::Names(names) = &mut value.draw
                && let Names::File { path, place } = &*names
            {
                match lines_of_names(path, place) {
                    Ok(read) => *names = Names::Read(read),
                    Err(problem) => problems.push(problem),
                }
            }
        }
    }
    problems
}

/// The text of a file of limited size.
fn text(path: &Path, place: &Place, at_most: u64) -> Result<String, Problem> {
    let name = quote(&path.display().to_string());
    let problem = |message: String, help: &str| {
        Err(Problem::new(message).at(place.clone(), "this file").help(help.to_owned()))
    };
    let bytes = match files::read(path, at_most) {
        Ok(bytes) => bytes,
        Err(Unreadable::TooLarge(_)) => {
            return problem(format!("{name} is larger than {} MiB", at_most >> 20), "shorten it");
        }
        Err(reason) => {
            let help = "check the path; it begins at the topology's folder";
            return problem(format!("cannot read {name}: {reason}"), help);
        }
    };
    String::from_utf8(bytes).or_else(|_| problem(format!("{name} is not UTF-8 text"), "save it as UTF-8"))
}

/// The lines that say something, with their numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn lines_of_names(path: &Path, place: &Place) -> Result<Arc<[String]>, Problem> {
    let text = text(path, place, NAMES_BYTES)?;
    let name = quote(&path.display().to_string());
    let problem =
        |message: String, help: &str| Err(Problem::new(message).at(place.clone(), "this file").help(help));
    if let Some((number, _)) = lines(&text).find(|(_, line)| line.chars().any(char::is_control)) {
        let help = "a name is a line of plain text";
        return problem(format!("line {number} of {name} has control characters"), help);
    }
    match lines(&text).count() {
        0 => {
            problem(format!("{name} has no names"), "write one a line; lines that begin with # do not count")
        }
        1..=NAMES_AT_MOST => Ok(lines(&text).map(|(_, line)| line.to_owned()).collect()),
        many => {
            let help = format!("a list has {NAMES_AT_MOST} at most");
            problem(format!("{name} has {many} names"), &help)
        }
    }
}

/// How the lines of a file say when.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Since the load's start: `12.5` are seconds, `350ms` says its unit.
    Since,
    /// RFC 3339; the first is the load's start.
    Date,
}

fn arrivals(path: &Path, place: &Place) -> Result<Arc<[Nanos]>, Vec<Problem>> {
    let text = text(path, place, ARRIVALS_BYTES).map_err(|problem| vec![problem])?;
    let name = quote(&path.display().to_string());
    let problem =
        |message: String, help: String| Problem::new(message).at(place.clone(), "this file").help(help);
    // First, as what is read of each takes more memory than its line.
    let many = lines(&text).count();
    if many > ARRIVALS_AT_MOST {
        let message = format!("{name} has {many} arrivals");
        return Err(vec![problem(message, format!("a load replays {ARRIVALS_AT_MOST} at most"))]);
    }
    let mut instants: Vec<(Kind, i128)> = Vec::new();
    let mut problems = Vec::new();
    for (number, line) in lines(&text) {
        if problems.len() == WRONG_AT_MOST {
            break;
        }
        let read = instant(line).and_then(|read| match instants.last() {
            Some((kind, _)) if *kind != read.0 => {
                Err("all lines are times since the start, or all are dates".to_owned())
            }
            Some((_, before)) if *before > read.1 => {
                Err("put the lines in the order of time: it comes before the line above".to_owned())
            }
            _ => Ok(read),
        });
        match read {
            Ok(read) => instants.push(read),
            Err(help) => problems.push(problem(format!("line {number} of {name}: {}", quote(line)), help)),
        }
    }
    if problems.is_empty() && instants.is_empty() {
        let help = "write one time a line, such as 12.5, 350ms or 2026-01-01T00:00:12Z".to_owned();
        problems.push(problem(format!("{name} has no arrivals"), help));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let zero = instants.first().filter(|(kind, _)| *kind == Kind::Date).map_or(0, |(_, first)| *first);
    let since = |(_, instant): (Kind, i128)| Nanos::try_from(instant - zero).unwrap_or(Nanos::MAX);
    Ok(instants.into_iter().map(since).collect())
}

/// A line of a file of arrivals, in nanoseconds.
fn instant(line: &str) -> Result<(Kind, i128), String> {
    if let Ok(instant) = line.parse::<Timestamp>() {
        return Ok((Kind::Date, instant.as_nanosecond()));
    }
    let bare = line.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let read = if bare { topology::duration(&format!("{line}s")) } else { topology::duration(line) };
    let help = || {
        let longest = clock::show(topology::LONGEST);
        format!("write seconds (12.5), a time (350ms) or a date (2026-01-01T00:00:12Z), below {longest}")
    };
    read.map(|nanos| (Kind::Since, i128::from(nanos))).map_err(|_| help())
}

#[cfg(test)]
mod tests;
