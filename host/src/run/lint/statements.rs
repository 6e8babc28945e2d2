//! Databases that the guest `service` names in its configuration and may not use, and statements that these
//! do not take.

use simhost_sql::{Class, Failure, sqlstate};

use crate::database::{Opened, word};
use crate::error::{Problem, did_you_mean, quote};
use crate::model::{Code, Model, Place, Service};

use super::Run;

/// Each `sql-in` that is no database of its service.
pub fn problems(run: &Run<'_>) -> Vec<Problem> {
    scripted(run.model).flat_map(|service| of_service(run, service)).collect()
}

/// Those with the guest `service`.
fn scripted(model: &Model) -> impl Iterator<Item = &Service> {
    let services = model.services.iter();
    services.filter(|service| matches!(&service.code, Code::Embedded(name) if name == "service"))
}

/// Statements in configurations that their databases do not take: a table, a column or a function that is not
/// there. `databases` are those of the topology, opened; `text` is its file.
pub fn refused(model: &Model, text: &str, databases: &mut [Opened]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, database) in databases.iter_mut().enumerate() {
        let asked = scripted(model).flat_map(|service| statements(model, service, index));
        let checked: Vec<_> =
            asked.map(|asked| (database.check(&asked.bound.statement, asked.bound.given), asked)).collect();
        // One that makes a table makes others right.
        if checked.iter().any(|(checked, _)| matches!(checked, Ok(Class::Ddl))) {
            continue;
        }
        for (checked, asked) in checked {
            problems.extend(checked.err().map(|failure| asked.problem(text, &failure)));
        }
    }
    problems
}

/// A statement in a configuration.
struct Asked<'a> {
    service: &'a Service,
    database: &'a str,
    key: &'a str,
    /// The text of which it is a part, and where that stands in the file.
    text: &'a str,
    place: Place,
    /// Where it begins in the text.
    begins: usize,
    written: &'a str,
    bound: Bound,
}

/// The statements that a service has for a database.
fn statements<'a>(
    model: &'a Model,
    service: &'a Service,
    database: usize,
) -> impl Iterator<Item = Asked<'a>> {
    let database = model.databases[database].name.as_str();
    let of_service = service.databases.iter().any(|pool| model.databases[pool.database].name == database);
    let texts = service.config.iter().enumerate().filter_map(move |(at, (key, text))| {
        let table = match key.as_str() {
            "sql" => "",
            key => key.strip_suffix(".sql").filter(|table| !table.contains('.'))?,
        };
        let own = service.config.get(&format!("{table}.sql-in"));
        let by = own.or_else(|| service.config.get("sql-in")).map(String::as_str);
        let place = service.config_places.get(at).cloned().unwrap_or_else(|| service.place.clone());
        (of_service && by == Some(database)).then_some((key.as_str(), text.as_str(), place))
    });
    texts.flat_map(move |(key, text, place)| {
        parts(text).filter_map(move |(begins, written)| {
            let bound = Bound::of(written)?;
            Some(Asked { service, database, key, text, place: place.clone(), begins, written, bound })
        })
    })
}

/// The statements of a text, with where each begins in it.
fn parts(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut behind = 0;
    let parts = text.split(';').map(move |part| {
        let begins = behind + part.len() - part.trim_start().len();
        behind += part.len() + 1;
        (begins, part.trim())
    });
    parts.filter(|(_, part)| !part.is_empty())
}

/// A statement with `$1` and so on for its parts in braces, as the guest has it.
struct Bound {
    statement: String,
    /// How many parts in braces there are.
    given: usize,
    /// Where its parts begin that are the same as written: bytes of the statement, and of what is written.
    same: Vec<(usize, usize)>,
}

impl Bound {
    /// None of one with a brace without its pair, which is for the guest to refuse.
    fn of(written: &str) -> Option<Self> {
        let mut bound = Self { statement: String::new(), given: 0, same: vec![(0, 0)] };
        let mut rest = written;
        while let Some((before, behind)) = rest.split_once('{') {
            let (_, after) = behind.split_once('}')?;
            bound.given += 1;
            bound.statement.push_str(&format!("{before}${}", bound.given));
            bound.same.push((bound.statement.len(), written.len() - after.len()));
            rest = after;
        }
        bound.statement.push_str(rest);
        Some(bound)
    }

    /// The place in what is written of a place in the statement.
    fn written(&self, at: usize) -> usize {
        let behind = self.same.partition_point(|(statement, _)| *statement <= at);
        let (statement, written) = self.same[behind.saturating_sub(1)];
        written + at - statement
    }
}

impl Asked<'_> {
    fn problem(&self, file: &str, failure: &Failure) -> Problem {
        let Self { service, database, key, .. } = self;
        let message = format!(
            "config.{key} of {}: {} (SQLSTATE {})",
            quote(&service.name),
            failure.message,
            failure.sqlstate
        );
        // A text in quotes is no parameter, whatever it is compared with.
        let is_quoted = self.bound.given > 0 && failure.message.contains("\"$");
        let help = match (&failure.hint, failure.sqlstate) {
            (Some(_), sqlstate::SYNTAX) if failure.message.contains("multiple commands") => {
                "write ; between two statements".to_owned()
            }
            (None, _) if is_quoted => "write {name} without quotes: it becomes a parameter".to_owned(),
            (Some(hint), _) => hint.clone(),
            (None, sqlstate::SYNTAX) => {
                "write it as PostgreSQL takes it, with ; between statements and {name} for values".to_owned()
            }
            (None, _) => format!("`simhost sql` with the topology and {database} lists its tables"),
        };
        Problem::new(message).at(self.place(file, failure), "here").help(help)
    }

    /// Where a failure stands in the file.
    fn place(&self, file: &str, failure: &Failure) -> Place {
        let inside = file.get(self.place.clone()).unwrap_or_default();
        // With escapes the file has another text.
        let Some(at) = inside.find(self.text) else { return named(file, &self.place, failure) };
        let begins = self.place.start + at + self.begins;
        let whole = begins..begins + self.written.len();
        let Some(place) = failure.place else { return named(file, &whole, failure) };
        let word = word(&self.bound.statement, place);
        let (start, end) = (self.bound.written(word.start), self.bound.written(word.end));
        match start < end.min(self.written.len()) {
            true => begins + start..begins + end.min(self.written.len()),
            // It stands behind the end: what is missing is missing there.
            false => whole.end.saturating_sub(1).max(whole.start)..whole.end,
        }
    }
}

/// Where the text has the name that a failure quotes; else the whole place.
fn named(text: &str, place: &Place, failure: &Failure) -> Place {
    let name = failure.message.split('"').nth(1).filter(|name| !name.is_empty());
    let inside = text.get(place.clone()).unwrap_or_default();
    let is_word = |at: usize, name: &str| {
        let beside = [inside[..at].chars().next_back(), inside[at + name.len()..].chars().next()];
        beside.into_iter().flatten().all(|char| !char.is_alphanumeric() && char != '_')
    };
    let found = name.and_then(|name| {
        let (at, _) = inside.match_indices(name).find(|(at, _)| is_word(*at, name))?;
        Some(place.start + at..place.start + at + name.len())
    });
    found.unwrap_or_else(|| place.clone())
}

fn of_service(run: &Run<'_>, service: &Service) -> Vec<Problem> {
    let names = service.databases.iter().map(|pool| run.model.databases[pool.database].name.as_str());
    let named = service.config.iter().enumerate().filter(|(_, (key, _))| {
        *key == "sql-in" || key.split_once('.').is_some_and(|(_, setting)| setting == "sql-in")
    });
    let wrong = named.filter(|(_, (_, name))| !names.clone().any(|known| known == name.as_str()));
    let problem = |(at, (key, name)): (usize, (&String, &String))| {
        let message =
            format!("config.{key} of {}: {} is no database of it", quote(&service.name), quote(name));
        let help = match names.clone().next() {
            None => format!("give it one: databases.{name} = {{}} in the service"),
            Some(_) => did_you_mean(name, "databases of this service", names.clone()),
        };
        let place = service.config_places.get(at).cloned().unwrap_or_else(|| service.place.clone());
        Problem::new(message).at(place, "no such database").help(help)
    };
    wrong.map(problem).collect()
}
