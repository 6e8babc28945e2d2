//! What a check finds that sends requests to one service and looks at the answers.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::run::Reply;

use super::cell::{Asked, Cell, Trouble, World};
use super::finding::Finding;
use super::manifest::{Contract, Step};

/// Characters of an answer that a message quotes.
const QUOTED: usize = 300;

/// Sends the requests, one after the other, and looks at each answer. `faults` are those that are on; none:
/// as the topology has them.
///
/// # Errors
/// The run does not come to its end.
pub fn contract(
    world: &World,
    seed: u64,
    faults: Option<&[String]>,
    check: &Contract,
) -> Result<Finding, Trouble> {
    let cell = Cell { seed, faults, spans: false, every_trace: false };
    let want = format!("{} answers as promised", check.service);
    let mut saved = BTreeMap::new();
    let mut sent: Vec<Asked> = Vec::new();
    for (at, step) in check.steps.iter().enumerate() {
        sent.push(Asked { text: filled(&step.request, &saved), headers: headers(step, &saved) });
        // What later requests need is known only when this one is answered: the run is repeated with one
        // request more, and is the same up to there.
        let is_needed = !step.save.is_empty() || at + 1 == check.steps.len();
        if !is_needed {
            continue;
        }
        let replies = world.ask(cell, &check.service, &sent)?;
        for (number, (step, reply)) in check.steps.iter().zip(&replies).enumerate() {
            if let Err(why) = judge(step, reply, &saved) {
                let message = format!("{}: {why}", described(&sent, number, check.steps.len()));
                return Ok(Finding::failed(Some(why), want, message));
            }
        }
        if let (Some(reply), [_, ..]) = (replies.last(), step.save.as_slice()) {
            let body = body(reply).unwrap_or_default();
            for (name, pointer) in &step.save {
                let Some(value) = body.pointer(pointer) else {
                    let why = format!("the answer to {} has no {pointer}", sent[at].text);
                    return Ok(Finding::failed(Some(why.clone()), want, why));
                };
                saved.insert(name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            }
        }
    }
    Ok(Finding::passed(format!("{} requests answered as promised", sent.len()), want))
}

/// `request 4 of 5, POST /payments {…} with idempotency-key: one, as in request 2`.
fn described(sent: &[Asked], at: usize, all: usize) -> String {
    let Asked { text, headers } = &sent[at];
    let mut said = format!("request {} of {all}, {text}", at + 1);
    if headers.is_empty() {
        return said;
    }
    let pairs: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    said.push_str(&format!(" with {}", pairs.join(", ")));
    if let Some(same) = sent[..at].iter().position(|other| other.headers == *headers) {
        said.push_str(&format!(", as in request {}", same + 1));
    }
    said
}

fn headers(step: &Step, saved: &BTreeMap<String, String>) -> Vec<(String, String)> {
    step.headers.iter().map(|(name, value)| (name.clone(), filled(value, saved))).collect()
}

/// A text with what was saved in place of its names.
fn filled(text: &str, saved: &BTreeMap<String, String>) -> String {
    saved.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

fn body(reply: &Reply) -> Option<Json> {
    serde_json::from_slice(&reply.answer.outcome.as_ref().ok()?.body).ok()
}

fn judge(step: &Step, reply: &Reply, saved: &BTreeMap<String, String>) -> Result<(), String> {
    let response = match &reply.answer.outcome {
        Ok(response) => response,
        Err(error) => return Err(format!("no answer came: {error}")),
    };
    if let Some(wanted) = step.status.filter(|wanted| *wanted != response.status) {
        return Err(format!("answered {}, and {wanted} is wanted", response.status));
    }
    let Some(wanted) = &step.body else { return Ok(()) };
    let wanted = with_saved(wanted, saved);
    let text = String::from_utf8_lossy(&response.body);
    let quoted = match text.char_indices().nth(QUOTED) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => text.clone(),
    };
    match serde_json::from_slice::<Json>(&response.body) {
        Ok(got) if has(&got, &wanted) => Ok(()),
        Ok(_) => Err(format!("the body {quoted} has not all of {wanted}")),
        Err(_) => Err(format!("the body {quoted:?} is no JSON, and {wanted} is wanted")),
    }
}

fn with_saved(wanted: &Json, saved: &BTreeMap<String, String>) -> Json {
    match wanted {
        Json::String(text) => Json::String(filled(text, saved)),
        Json::Array(list) => list.iter().map(|item| with_saved(item, saved)).collect(),
        Json::Object(table) => {
            table.iter().map(|(key, value)| (key.clone(), with_saved(value, saved))).collect()
        }
        other => other.clone(),
    }
}

/// Whether JSON has all that is wanted: the keys of objects, lists item by item, numbers by their value.
fn has(got: &Json, wanted: &Json) -> bool {
    match (got, wanted) {
        (Json::Object(got), Json::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| got.get(key).is_some_and(|got| has(got, wanted)))
        }
        (Json::Array(got), Json::Array(wanted)) => {
            got.len() == wanted.len() && got.iter().zip(wanted).all(|(got, wanted)| has(got, wanted))
        }
        (Json::Number(got), Json::Number(wanted)) => got.as_f64() == wanted.as_f64(),
        (got, wanted) => got == wanted,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_may_have_more_than_is_wanted() {
        let got = json!({ "id": "7", "total": 19.0, "lines": [{ "item": "book", "price": 9.5 }] });
        assert!(has(&got, &json!({ "total": 19, "lines": [{ "item": "book" }] })));
        assert!(!has(&got, &json!({ "lines": [] })) && !has(&got, &json!({ "state": "paid" })));
    }

    #[test]
    fn a_request_is_told_with_its_headers_and_the_first_one_that_had_them() {
        let asked = |text: &str, key: &str| Asked {
            text: text.to_owned(),
            headers: vec![("key".to_owned(), key.to_owned())],
        };
        let bare = Asked { text: "GET /a".to_owned(), headers: Vec::new() };
        let sent = [bare, asked("POST /a", "7"), asked("POST /b", "8"), asked("POST /c", "7")];
        let told: Vec<_> = (0..4).map(|at| described(&sent, at, 5)).collect();
        assert_eq!(told[0], "request 1 of 5, GET /a");
        assert_eq!(told[2], "request 3 of 5, POST /b with key: 8");
        assert_eq!(told[3], "request 4 of 5, POST /c with key: 7, as in request 2");
    }

    #[test]
    fn what_was_saved_stands_in_later_requests() {
        let saved = [("id".to_owned(), "7".to_owned())].into();
        assert_eq!(filled("GET /orders/{id} {\"id\"}", &saved), "GET /orders/7 {\"id\"}");
        assert_eq!(with_saved(&json!(["{id}", 1]), &saved), json!(["7", 1]));
    }
}
