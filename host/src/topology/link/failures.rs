//! What a policy is about: `on` and `methods`, as they are read and as `simhost check` puts them.

use serde_json::json;
use toml::de::DeValue;

use super::super::address;
use super::super::patterns;
use super::super::reader::Value;
use super::super::schema::{any, text};
use super::super::shapes::By;
use crate::error::{Problem, did_you_mean, quote};
use crate::model::{Failures, Methods};

/// Failures, as a list of their names and statuses.
pub(super) const FAILURES: By<Failures> = By {
    words: "a list of `\"5xx\"`, `\"4xx\"`, `\"timeout\"`, `\"reset\"`, `\"refused\"` and statuses",
    schema: |_| {
        let failure = any([json!({ "enum": NAMES }), text("[45][0-9][0-9]")]);
        json!({ "type": "array", "items": failure, "minItems": 1 })
    },
    read: |value| failures(value),
};

/// Methods, as a list, or all.
pub(super) const METHODS: By<Methods> = By {
    words: "a list of methods, or `\"all\"`",
    schema: |_| {
        let list = json!({ "type": "array", "items": text(patterns::METHOD), "minItems": 1 });
        any([json!({ "const": "all" }), list])
    },
    read: |value| methods(value),
};

/// Failures as the file would have them.
pub(super) fn show(failures: &Failures) -> String {
    let statuses = failures.statuses.iter().flat_map(|(first, last)| match (first, last) {
        (500, 599) => vec!["5xx".to_owned()],
        _ => (*first..=*last).map(|status| status.to_string()).collect(),
    });
    let named = [(failures.timeout, "timeout"), (failures.reset, "reset"), (failures.refused, "refused")];
    let named = named.into_iter().filter(|(is_in, _)| *is_in).map(|(_, name)| name.to_owned());
    let all: Vec<_> = statuses.chain(named).map(|name| format!("\"{name}\"")).collect();
    format!("[{}]", all.join(", "))
}

/// `5xx`, `502 to 504`, `timeout`: each kind of failure as `simhost check` puts it.
pub(super) fn names(failures: &Failures) -> Vec<String> {
    let Failures { statuses, timeout, reset, refused } = failures;
    let statuses = statuses.iter().map(|(from, to)| match (from, to) {
        (from, to) if from == to => from.to_string(),
        // As the topology has it.
        (from, to) if from % 100 == 0 && *to == from + 99 => format!("{}xx", from / 100),
        (from, to) => format!("{from} to {to}"),
    });
    let others = [(timeout, "timeout"), (reset, "reset"), (refused, "refused")];
    let others = others.into_iter().filter(|(is_one, _)| **is_one).map(|(_, name)| name.to_owned());
    statuses.chain(others).collect()
}

/// Kinds of failure in one line.
pub(super) fn in_words(failures: &Failures) -> String {
    names(failures).join(", ")
}

/// What comes behind `up to 3 attempts` in a line.
pub(super) fn methods_in_words(methods: &Methods) -> String {
    match methods {
        Methods::Idempotent => " of idempotent methods".to_owned(),
        Methods::All => String::new(),
        Methods::These(methods) => format!(" of {}", methods.join(", ")),
    }
}

/// The names of methods; none where every method is meant.
pub(super) fn methods_of(methods: &Methods) -> Option<Vec<String>> {
    match methods {
        Methods::Idempotent => Some(Methods::IDEMPOTENT.map(str::to_owned).to_vec()),
        Methods::All => None,
        Methods::These(methods) => Some(methods.clone()),
    }
}

/// Failures that have a name.
const NAMES: [&str; 5] = ["5xx", "4xx", "timeout", "reset", "refused"];

/// What is tried again where the file does not say: a gateway's errors and no
/// answer at all, Envoy's `gateway-error,reset`. A 500 or a 501 would most likely
/// come again.
pub(super) fn worth_a_retry() -> Failures {
    Failures { statuses: vec![(502, 504)], timeout: true, reset: true, refused: true }
}

/// What speaks against a callee where the file does not say: every 5xx, and no
/// answer at all, as in Envoy's outlier detection.
pub(super) fn of_the_callee() -> Failures {
    Failures { statuses: vec![(500, 599)], ..worth_a_retry() }
}

/// `on = ["5xx", "429", "timeout"]`.
fn failures(value: &Value<'_>) -> Option<Failures> {
    let mut failures = Failures::default();
    let list = value.list()?;
    if list.is_empty() {
        let problem = Problem::new("\"on\" is empty").label("nothing, ever");
        return value.refuse(problem.help("name a failure, such as \"5xx\", or leave it out"));
    }
    let read: Vec<_> = list.iter().map(|item| failure(item, &mut failures)).collect();
    read.into_iter().collect::<Option<Vec<()>>>()?;
    Some(failures)
}

fn failure(value: &Value<'_>, failures: &mut Failures) -> Option<()> {
    let word = value.text()?;
    match word {
        "5xx" => failures.statuses.push((500, 599)),
        "4xx" => failures.statuses.push((400, 499)),
        "timeout" => failures.timeout = true,
        "reset" => failures.reset = true,
        "refused" => failures.refused = true,
        _ => match word.parse::<u16>() {
            Ok(status @ 400..=599) => failures.statuses.push((status, status)),
            Ok(_) => {
                let problem = Problem::new(format!("{word} is no status of a failure"));
                let help = "statuses of failures are 400 to 599, and \"4xx\" and \"5xx\" are all of a kind";
                return value.refuse(problem.label("not a failure").help(help));
            }
            Err(_) => {
                let known = did_you_mean(word, "failures", NAMES);
                let problem = Problem::new(format!("unknown failure {}", quote(word)));
                let help = format!("{known}, or a status such as \"503\"");
                return value.refuse(problem.label("not a failure").help(help));
            }
        },
    }
    Some(())
}

/// `methods = ["GET", "POST"]` or `methods = "all"`.
fn methods(value: &Value<'_>) -> Option<Methods> {
    if let DeValue::String(word) = value.item() {
        if word == "all" {
            return Some(Methods::All);
        }
        let problem = Problem::new(format!("\"methods\" is a list or \"all\", not {}", quote(word)));
        let help = match address::method(word) {
            Ok(method) => format!("write methods = [{}]", quote(&method)),
            Err(_) => "write methods = [\"GET\", \"POST\"], or leave it out for those that are idempotent"
                .to_owned(),
        };
        return value.refuse(problem.label("neither").help(help));
    }
    let list = value.list()?;
    if list.is_empty() {
        let problem = Problem::new("\"methods\" is empty").label("no request, ever");
        return value.refuse(problem.help("name a method, or leave it out for those that are idempotent"));
    }
    let methods: Vec<_> = list.iter().map(|item| item.read(address::method)).collect();
    Some(Methods::These(methods.into_iter().collect::<Option<_>>()?))
}
