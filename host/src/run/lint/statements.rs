//! Databases that the guest `service` names in its configuration and may not use, and statements that these
//! do not take.

use std::ops::Range;

use simhost_sql::{Class, Failure, sqlstate};

use crate::database::{Opened, remedy, word};
use crate::error::{Problem, did_you_mean, quote};
use crate::model::{Code, Inline, Model, Place, Service};

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
/// there. `databases` are those of the topology, opened.
pub fn refused(model: &Model, databases: &mut [Opened]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, database) in databases.iter_mut().enumerate() {
        let asked = scripted(model).flat_map(|service| statements(model, service, index));
        let checked: Vec<_> =
            asked.map(|asked| (database.check(&asked.bound.statement, asked.bound.given), asked)).collect();
        // One that makes a table makes others right.
        if checked.iter().any(|(checked, _)| matches!(checked, Ok(Class::Ddl))) {
            continue;
        }
        let mut divided: Option<&Asked<'_>> = None;
        for (checked, asked) in &checked {
            // What stands behind a ; in quotes is the rest of the same statement.
            let is_rest = divided.is_some_and(|first| first.has_rest(asked));
            let Some(failure) = checked.as_ref().err().filter(|_| !is_rest) else { continue };
            let rest = asked.part.rest.as_ref().filter(|_| failure.sqlstate == sqlstate::SYNTAX);
            divided = rest.map(|_| asked);
            // Quotes that nothing closes are what is wrong.
            let is_divided = rest.is_some_and(|rest| rest.is_closed);
            problems.push(if is_divided { asked.divided() } else { asked.problem(failure) });
        }
    }
    problems
}

/// A statement in a configuration.
struct Asked<'a> {
    service: &'a Service,
    database: &'a str,
    key: &'a str,
    /// The text of which it is a part; none of what is no text.
    inline: Option<&'a Inline>,
    /// Where the text stands in the file.
    place: Place,
    part: Part<'a>,
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
        let inline = service.config_keys.values.get(key);
        parts(text).into_iter().filter_map(move |part| {
            let bound = Bound::of(part.written)?;
            Some(Asked { service, database, key, inline, place: place.clone(), part, bound })
        })
    })
}

/// What stands between two `;` of a text, where the guest divides it.
struct Part<'a> {
    /// Where it begins in the text.
    begins: usize,
    written: &'a str,
    /// What belongs to it behind the next `;`, if that stands behind quotes that are open.
    rest: Option<Rest>,
}

#[derive(Debug, PartialEq)]
struct Rest {
    /// Where the `;` stands, and where the rest ends.
    bytes: Range<usize>,
    /// Whether it closes the quotes; else all that follows is in them.
    is_closed: bool,
}

/// The parts of a text that are not empty.
fn parts(text: &str) -> Vec<Part<'_>> {
    let mut behind = 0;
    let pieces = text.split(';').map(|piece| {
        let begins = behind;
        behind += piece.len() + 1;
        (begins, piece)
    });
    let pieces: Vec<_> = pieces.collect();
    let parts = pieces.iter().enumerate().map(|(at, (begins, whole))| {
        let behind = begins + whole.len();
        let rest = opened(whole).filter(|_| behind < text.len()).map(|quotes| {
            let closing = pieces[at + 1..].iter().find(|(_, piece)| piece.contains(quotes));
            let end = closing.map_or(text.len(), |(last, piece)| last + piece.len());
            Rest { bytes: behind..end, is_closed: closing.is_some() }
        });
        let blanks = whole.len() - whole.trim_start().len();
        Part { begins: begins + blanks, written: whole.trim(), rest }
    });
    parts.filter(|part| !part.written.is_empty()).collect()
}

/// The quotes that are open at the end of a statement.
fn opened(statement: &str) -> Option<&'static str> {
    let (mut open, mut rest) = (None, statement);
    while let Some(char) = rest.chars().next() {
        let here = ["'", "\"", "$$"].into_iter().find(|quotes| rest.starts_with(quotes));
        let here = here.filter(|quotes| open.is_none_or(|open| open == *quotes));
        if here.is_some() {
            open = if open.is_some() { None } else { here };
        }
        rest = &rest[here.map_or(char.len_utf8(), str::len)..];
    }
    open
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
    fn problem(&self, failure: &Failure) -> Problem {
        let Self { service, database, key, .. } = self;
        let message = format!(
            "config.{key} of {}: {} (SQLSTATE {})",
            quote(&service.name),
            failure.message,
            failure.sqlstate
        );
        // A text in quotes is no parameter, whatever it is compared with.
        let is_quoted = self.bound.given > 0 && failure.message.contains("\"$");
        let help = match (remedy(failure), failure.sqlstate) {
            _ if is_quoted => "write {name} without quotes: it becomes a parameter".to_owned(),
            (_, sqlstate::SYNTAX) if let Some(quotes) = opened(self.part.written) => {
                format!("end the text in quotes with {quotes}")
            }
            (Some(remedy), sqlstate::SYNTAX) if remedy.contains("$1") => {
                "write {name} for a value".to_owned()
            }
            (Some(remedy), _) => remedy,
            (None, _) => format!("`simhost sql` with the topology and {database} lists its tables"),
        };
        Problem::new(message).at(self.place(failure), "here").help(help)
    }

    /// It is divided at a `;` that stands between quotes.
    fn divided(&self) -> Problem {
        let message = format!(
            "config.{} of {}: a ; ends the statement, between quotes too",
            self.key,
            quote(&self.service.name)
        );
        let at = self.part.rest.as_ref().map_or(self.part.begins, |rest| rest.bytes.start);
        let place = self.inline.map_or_else(|| self.place.clone(), |inline| inline.place(at..at + 1));
        let help = "write chr(59) for it: 'one' || chr(59) || ' two'";
        Problem::new(message).at(place, "the statement ends here").help(help)
    }

    /// Whether another one is what is left of it behind a `;` between quotes.
    fn has_rest(&self, other: &Self) -> bool {
        let is_within = |rest: &Rest| rest.bytes.contains(&other.part.begins);
        std::ptr::eq(self.service, other.service)
            && self.key == other.key
            && self.part.rest.as_ref().is_some_and(is_within)
    }

    /// Where a failure stands in the file.
    fn place(&self, failure: &Failure) -> Place {
        let Some(inline) = self.inline else { return self.place.clone() };
        let Part { begins, written, .. } = self.part;
        let place = |of: Place| inline.place(begins + of.start..begins + of.end);
        let Some(at) = failure.place else { return place(named(written, failure)) };
        let word = word(&self.bound.statement, at);
        let (start, end) = (self.bound.written(word.start), self.bound.written(word.end).min(written.len()));
        match start < end {
            true => place(start..end),
            // It stands behind the end: what is missing is missing there.
            false => place(written.len().saturating_sub(1)..written.len()),
        }
    }
}

/// Where a statement has the name that a failure quotes; else all of it.
fn named(written: &str, failure: &Failure) -> Place {
    let name = failure.message.split('"').nth(1).filter(|name| !name.is_empty());
    let is_word = |at: usize, name: &str| {
        let beside = [written[..at].chars().next_back(), written[at + name.len()..].chars().next()];
        beside.into_iter().flatten().all(|char| !char.is_alphanumeric() && char != '_')
    };
    let found = name.and_then(|name| {
        let (at, _) = written.match_indices(name).find(|(at, _)| is_word(*at, name))?;
        Some(at..at + name.len())
    });
    found.unwrap_or(0..written.len())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_that_is_divided_between_quotes_knows_its_rest() {
        let of = |text| {
            let rests = parts(text).into_iter().map(|part| {
                let rest = part.rest.map(|rest| (rest.bytes.start, rest.bytes.end, rest.is_closed));
                (part.begins, rest)
            });
            rests.collect::<Vec<_>>()
        };
        assert_eq!(of("SELECT 1; SELECT 'it''s' ;"), [(0, None), (10, None)]);
        // What begins within a rest is passed over, whatever it says of its own.
        assert_eq!(of("SELECT 'a;b;c'; SELECT 2")[0], (0, Some((9, 14, true))));
        assert_eq!(of("SELECT 'a; SELECT 2"), [(0, Some((9, 19, false))), (11, None)]);
        assert_eq!(of("SELECT 'é;ü"), [(0, Some((10, 13, false))), (11, None)]);
        assert_eq!(of("SELECT $$a';b$$; SELECT 2")[0], (0, Some((11, 15, true))));
        assert_eq!(of("SELECT 'a"), [(0, None)]);
    }
}
