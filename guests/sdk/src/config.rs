//! The service's `config` table in the topology.
//!
//! Read it in the function that builds the [`Router`](crate::Router) and keep it as
//! [state](crate::Router::state). What is wrong there is collected. The simulator reports all of it before anything
//! runs, each problem at its line in the topology. For a value that is wrong the functions here return the default.

use crate::bindings::simhost::service::config;
use crate::distribution::Distribution;
use crate::duration::parse_duration;
use crate::problem::Problem;
use simhost_notation::{list, nearest, quote};
use std::cell::RefCell;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

/// The value of a key, as text.
pub fn get(key: &str) -> Option<String> {
    know(key);
    config::get(key)
}

/// All keys and values. This alone does not count as reading them: see [`refuse_unknown`].
pub fn all() -> Vec<(String, String)> {
    config::all()
}

/// The value of a key as text, or a default.
pub fn text(key: &str, default: &str) -> String {
    get(key).unwrap_or_else(|| default.to_owned())
}

/// Says that a key may be there which is read under a condition only, or in a handler: [`refuse_unknown`] then takes it
/// as known. A last part in `<>` stands for any key of a table: `stock.<item>`.
pub fn declare(key: &str) {
    know(key);
}

/// The value of a key, or a default: `config::parse("attempts", 3)`. A value that does not parse is a problem.
///
/// # Panics
/// Outside of the function that builds the router, if the value does not parse: nobody reports it there.
pub fn parse<T: FromStr<Err: Display>>(key: &str, default: T) -> T {
    read(key, default, |value| {
        let form = form(std::any::type_name::<T>());
        value.parse().map_err(|error: T::Err| form.map_or_else(|| error.to_string(), str::to_owned))
    })
}

/// The value of a key as a [duration](parse_duration) such as `500ms`, or a default.
///
/// # Panics
/// As [`parse`].
pub fn duration(key: &str, default: Duration) -> Duration {
    read(key, default, parse_duration)
}

/// The value of a key as a probability from 0 to 1, or a default.
///
/// # Panics
/// As [`parse`].
pub fn probability(key: &str, default: f64) -> f64 {
    read(key, default, |value| match value.parse() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("a probability lies between 0 and 1".into()),
    })
}

/// The value of a key as a [distribution](Distribution) of lengths of time, or a default. The topology writes it as it
/// writes latencies: `work = "5ms"`, `work = "5ms +/- 1ms"`, `work = { exponential = { mean = "5ms" } }`.
///
/// # Panics
/// As [`parse`].
pub fn distribution(key: &str, default: Distribution) -> Distribution {
    let fields = below(&all(), key);
    know(key);
    for (field, _) in fields.iter().filter(|(field, _)| !field.is_empty()) {
        know(&format!("{key}.{field}"));
    }
    if fields.is_empty() {
        return default;
    }
    Distribution::from_fields(&fields).unwrap_or_else(|problem| {
        refuse(problem.within(key));
        default
    })
}

/// What stands at a key and in the table below it, of all keys and values: of `work`, `exponential.mean` for
/// `work.exponential.mean`.
pub fn below(all: &[(String, String)], key: &str) -> Vec<(String, String)> {
    let inside = |name: &str| match name.strip_prefix(key)? {
        "" => Some(String::new()),
        rest => rest.strip_prefix('.').map(str::to_owned),
    };
    all.iter().filter_map(|(name, value)| Some((inside(name)?, value.clone()))).collect()
}

/// Makes every key of the topology a problem that the function which builds the router has not read when it ends: a
/// misspelt key is then refused, and not ignored. Call it there, before or after reading. Name with [`declare`] keys
/// that are read later, in handlers.
pub fn refuse_unknown() {
    READING.with_borrow_mut(|reading| {
        if let Some(reading) = reading {
            reading.refuses_unknown = true;
        }
    });
}

/// Reports a problem, such as one between two keys.
///
/// # Panics
/// Outside of the function that builds the router, with the problem: nobody reports it there.
pub fn refuse(problem: Problem) {
    let left = READING.with_borrow_mut(|reading| match reading {
        Some(reading) => {
            reading.problems.push(problem);
            None
        }
        None => Some(problem),
    });
    if let Some(problem) = left {
        panic!("{}", described(&problem));
    }
}

fn read<T>(key: &str, default: T, parse: impl FnOnce(&str) -> Result<T, String>) -> T {
    let Some(value) = get(key) else { return default };
    parse(&value).unwrap_or_else(|why| {
        refuse(Problem::invalid(key, &value, &why));
        default
    })
}

/// What a value of a type of the standard library looks like, for people who do not know Rust.
fn form(type_name: &str) -> Option<&'static str> {
    Some(match type_name {
        "bool" => "write true or false",
        "u8" => "write a whole number from 0 to 255",
        "u16" => "write a whole number from 0 to 65535",
        "u32" => "write a whole number from 0 to 4294967295",
        "u64" | "u128" | "usize" => "write a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "write a whole number",
        "f32" | "f64" => "write a number, such as 0.5",
        "char" => "write one character",
        _ => return None,
    })
}

/// A problem in one line, for where there is no line of a topology.
pub(crate) fn described(problem: &Problem) -> String {
    match &problem.key {
        Some(key) => format!("config.{key}: {}", problem.message),
        None => problem.message.clone(),
    }
}

thread_local! {
    /// Only while the router is built.
    static READING: RefCell<Option<Reading>> = const { RefCell::new(None) };
}

/// What is read of the configuration, and what is wrong with it.
#[derive(Default)]
struct Reading {
    known: Vec<String>,
    problems: Vec<Problem>,
    refuses_unknown: bool,
}

/// Collects the problems of what `build` reads.
pub(crate) fn collect<T>(build: impl FnOnce() -> T) -> (T, Vec<Problem>) {
    READING.set(Some(Reading::default()));
    let built = build();
    let Reading { known, mut problems, refuses_unknown } = READING.take().unwrap_or_default();
    if refuses_unknown {
        problems.extend(unknown(&known, &all()));
    }
    (built, problems)
}

fn know(key: &str) {
    READING.with_borrow_mut(|reading| {
        if let Some(reading) = reading {
            if !reading.known.iter().any(|known| known == key) {
                reading.known.push(key.to_owned());
            }
        }
    });
}

/// A problem for each key that is not known.
fn unknown(known: &[String], config: &[(String, String)]) -> Vec<Problem> {
    let is_known = |key: &str| {
        let is_of_table = |known| {
            table(known).and_then(|table| key.strip_prefix(table)).is_some_and(|name| !name.is_empty())
        };
        known.iter().any(|known| known == key || is_of_table(known))
    };
    let unknown = config.iter().filter(|(key, _)| !is_known(key));
    unknown.map(|(key, _)| Problem::of(key, "unknown key").remedy(instead(key, known))).collect()
}

/// The part of a declared key in front of its `<name>`, if it has one: `stock.` of `stock.<item>`.
fn table(declared: &str) -> Option<&str> {
    declared.strip_suffix('>')?.rsplit_once('<').map(|(table, _)| table)
}

/// What to write in place of an unknown key.
fn instead(key: &str, known: &[String]) -> String {
    if known.is_empty() {
        return "leave it out: this service has no configuration".to_owned();
    }
    // In a table that takes any name, the key may be right behind a table that is not.
    let renamed = known.iter().map(|known| match table(known) {
        Some(table) => {
            let name = key.splitn(table.matches('.').count() + 1, '.').last().unwrap_or_default();
            format!("{table}{name}")
        }
        None => known.clone(),
    });
    let renamed: Vec<_> = renamed.collect();
    let all = list(known.iter().map(String::as_str));
    match nearest(key, renamed.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {}? Known keys: {all}", quote(near)),
        None => format!("known keys: {all}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_what_stands_below_its_key() {
        let all = [("work", "1"), ("work.a.b", "2"), ("workers", "3"), ("other", "4")];
        let all = all.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let expected = [("", "1"), ("a.b", "2")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(below(&all, "work"), expected);
    }

    #[test]
    fn a_problem_has_the_key_the_value_and_the_remedy() {
        let why = form(std::any::type_name::<u32>()).unwrap();
        let problem = Problem::invalid("attempts", "many", why);
        let expected = r#"config.attempts: "many" is not valid: write a whole number from 0 to 4294967295"#;
        assert_eq!(described(&problem), expected);
        assert_eq!(problem.remedy.as_deref(), Some("correct it, or remove it for the default"));
        assert_eq!(form(std::any::type_name::<bool>()), Some("write true or false"));
        assert_eq!(form(std::any::type_name::<std::net::IpAddr>()), None);
    }

    #[test]
    fn problems_are_collected_while_the_router_is_built() {
        let ((), problems) = collect(|| {
            refuse(Problem::of("a", "one"));
            refuse(Problem::new("another"));
        });
        assert_eq!(problems.iter().map(described).collect::<Vec<_>>(), ["config.a: one", "another"]);
    }

    #[test]
    #[should_panic(expected = "config.a: one")]
    fn a_problem_that_nobody_would_report_panics() {
        refuse(Problem::of("a", "one"));
    }

    #[test]
    fn a_key_that_was_not_read_is_unknown_and_the_nearest_is_suggested() {
        let config = [("delay", "1ms"), ("dealy-rate", "0.5")].map(|(key, value)| (key.into(), value.into()));
        let known = ["delay", "delay-rate"].map(str::to_owned);
        let problems = unknown(&known, &config);
        assert_eq!(problems.iter().map(described).collect::<Vec<_>>(), ["config.dealy-rate: unknown key"]);
        let remedy = problems[0].remedy.as_deref().unwrap();
        assert_eq!(remedy, r#"did you mean "delay-rate"? Known keys: "delay", "delay-rate""#);
        assert_eq!(unknown(&[], &config).len(), 2);
    }

    #[test]
    fn a_declared_table_takes_every_name_and_is_suggested_where_its_own_is_misspelt() {
        let config = [("stock.book", "1"), ("stok.book", "1"), ("stock", "1"), ("stock.", "1")];
        let config = config.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let ((), problems) = collect(|| {
            declare("sleeps");
            declare("stock.<item>");
            declare("sleeps");
            READING
                .with_borrow(|reading| {
                    let known = &reading.as_ref().unwrap().known;
                    unknown(known, &config)
                        .into_iter()
                        .map(|problem| (problem.key, problem.remedy))
                        .collect::<Vec<_>>()
                })
                .into_iter()
                .for_each(|(key, remedy)| refuse(Problem::of(key.unwrap(), remedy.unwrap())));
        });
        let said: Vec<_> = problems.iter().map(described).collect();
        assert_eq!(said.len(), 3, "{said:?}");
        assert_eq!(
            said[0],
            r#"config.stok.book: did you mean "stock.book"? Known keys: "sleeps", "stock.<item>""#
        );
    }
}
