//! Databases that the guest `service` names in its configuration and may not use, and statements that these
//! do not take.

use simhost_sql::{Class, Failure};

use crate::database::Opened;
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
            asked.map(|asked| (database.check(&asked.statement, asked.given), asked)).collect();
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
    place: Place,
    /// With `$1` and so on for its parts in braces, as the guest has it.
    statement: String,
    /// How many those are.
    given: usize,
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
        (of_service && by == Some(database)).then_some((key.as_str(), text, place))
    });
    texts.flat_map(move |(key, text, place)| {
        let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
        parts.filter_map(bound).map(move |(statement, given)| {
            let place = place.clone();
            Asked { service, database, key, place, statement, given }
        })
    })
}

/// A statement with its parameters, and how many they are. One with a brace without its pair is for the guest
/// to refuse.
fn bound(text: &str) -> Option<(String, usize)> {
    let (mut statement, mut rest, mut count) = (String::new(), text, 0);
    while let Some((before, behind)) = rest.split_once('{') {
        let (_, after) = behind.split_once('}')?;
        count += 1;
        statement.push_str(&format!("{before}${count}"));
        rest = after;
    }
    Some((statement + rest, count))
}

impl Asked<'_> {
    fn problem(&self, text: &str, failure: &Failure) -> Problem {
        let Self { service, database, key, place, .. } = self;
        let message = format!(
            "config.{key} of {}: {} (SQLSTATE {})",
            quote(&service.name),
            failure.message,
            failure.sqlstate
        );
        let tables = || format!("`simhost sql` with the topology and {database} lists its tables");
        let help = failure.hint.clone().unwrap_or_else(tables);
        Problem::new(message).at(named(text, place, failure), "here").help(help)
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
