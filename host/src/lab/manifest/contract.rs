//! Checks of a guest: requests that it has to answer in a certain way.

use serde_json::{Value as Json, json};

use crate::error::Problem;
use crate::run::RequestFlag;
use crate::topology::key::{Key, Optional, Required};
use crate::topology::reader::{Table, Value};
use crate::topology::schema::text;
use crate::topology::section::{Section, Subs};
use crate::topology::shapes::{By, Count, Written};
use crate::topology::types::{ANY, TEXT};

/// Requests of one check.
const STEPS_AT_MOST: usize = 100;

/// What one service has to answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Contract {
    pub service: String,
    pub steps: Vec<Step>,
}

/// One request, and what its answer has to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// `POST /orders {"item": "book"}`.
    pub request: String,
    pub headers: Vec<(String, String)>,
    pub status: Option<u16>,
    /// What the body has, at least.
    pub body: Option<Json>,
    /// Values of the answer for later requests: names and JSON pointers.
    pub save: Vec<(String, String)>,
}

pub static SERVICE: Key<By<String>, Required> = Key {
    name: "service",
    of: TEXT,
    absent: Required("say who is asked: service = \"…\""),
    says: "who is asked: the requests come to it from outside, one after the other",
};

pub static STEPS: Key<Subs, Required> = Key {
    name: "steps",
    of: Subs(&Section {
        name: "step",
        says: "a request, and what its answer has to be",
        keys: &[&REQUEST, &HEADERS, &STATUS, &BODY, &SAVE],
        rules: &[],
    }),
    absent: Required("say what is asked: steps = [{ request = \"GET /\", status = 200 }]"),
    says: "the requests, with what their answers have to be",
};

static REQUEST: Key<By<String>, Required> = Key {
    name: "request",
    of: By {
        words: "`METHOD /path BODY`",
        schema: |_| text("[A-Z]+ /[\\s\\S]*"),
        read: |value| {
            let text = value.filled()?;
            match text.parse::<RequestFlag>() {
                Ok(_) => Some(text.to_owned()),
                Err(why) => value.refuse(Problem::new(why).label("no request")),
            }
        },
    },
    absent: Required("write the request: request = \"POST /orders {…}\""),
    says: "the request; `{NAME}` is what an earlier step has saved",
};

static HEADERS: Key<Written, Optional> = Key {
    name: "headers",
    of: Written {
        words: "`{ idempotency-key = \"7\" }`",
        schema: |_| json!({ "type": "object", "additionalProperties": { "type": "string" } }),
    },
    absent: Optional("none"),
    says: "its headers",
};

static STATUS: Key<Count, Optional> =
    Key { name: "status", of: Count(100, 599), absent: Optional("any"), says: "the status of the answer" };

static BODY: Key<Written, Optional> = Key {
    name: "body",
    of: ANY,
    absent: Optional("any"),
    says: "what the JSON body of the answer has, at least",
};

static SAVE: Key<Written, Optional> = Key {
    name: "save",
    of: Written {
        words: "`{ id = \"/order/id\" }`",
        schema: |_| json!({ "type": "object", "additionalProperties": { "type": "string" } }),
    },
    absent: Optional("none"),
    says: "values of the body for later requests: names, and JSON pointers (RFC 6901)",
};

pub fn contract(table: &Table<'_>) -> Option<Contract> {
    let (service, value) = (SERVICE.read(table), STEPS.need(table)?);
    let tables = STEPS.open(table, "this step");
    let steps: Vec<_> = tables.iter().map(step).collect();
    let steps: Vec<_> = steps.into_iter().collect::<Option<_>>()?;
    if !(1..=STEPS_AT_MOST).contains(&steps.len()) {
        let problem = Problem::new(format!("the check has {} steps", steps.len()));
        return value.refuse(problem.help(format!("write 1 to {STEPS_AT_MOST}")));
    }
    Some(Contract { service: service?, steps })
}

fn step(table: &Table<'_>) -> Option<Step> {
    let (request, status) = (REQUEST.read(table), STATUS.read(table));
    let texts = |value: Option<Value<'_>>, what: &str| match value {
        None => Some(Vec::new()),
        Some(value) => {
            let table = value.table(what)?;
            let entry = |entry: &Value<'_>| Some((entry.key.to_owned(), entry.text()?.to_owned()));
            table.entries().iter().map(entry).collect::<Option<Vec<_>>>()
        }
    };
    let (headers, save) = (texts(HEADERS.get(table), "headers"), texts(SAVE.get(table), "save"));
    let body = BODY.get(table).map(|value| json_of(&value));
    Some(Step {
        request: request?,
        headers: headers?,
        status: status?.and_then(|status| u16::try_from(status).ok()),
        body,
        save: save?,
    })
}

/// A value of TOML as JSON.
fn json_of(value: &Value<'_>) -> Json {
    let read = toml::from_str::<Json>(&format!("it = {}", value.written()));
    read.map(|mut read| read["it"].take()).unwrap_or_default()
}
