//! What a policy is about: `on` and `methods`.

use toml::de::DeValue;

use super::super::address;
use super::super::reader::Value;
use crate::error::{Problem, did_you_mean, quote};
use crate::model::{Failures, Methods};

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
pub(super) fn failures(value: &Value<'_>) -> Option<Failures> {
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
pub(super) fn methods(value: &Value<'_>) -> Option<Methods> {
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
