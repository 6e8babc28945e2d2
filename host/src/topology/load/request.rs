//! Requests of a load, with what changes from one to the next left open.

use std::path::Path;

use serde_json::json;
use toml::de::DeValue;

use super::super::key::{Key, Optional, Required, Usual};
use super::super::reader::{Table, Value};
use super::super::schema::text;
use super::super::section::{Rule, Section};
use super::super::shapes::{By, Number, Written};
use super::super::types::{self, ANY, ANY_TEXT};
use super::draw;
use crate::error::{Problem, did_you_mean, quote};
use crate::message::{is_target, is_token};
use crate::model::{self, Draw, Form, Names, Piece, RequestTemplate, Template};

/// Requests of a mix.
pub(super) const REQUESTS_AT_MOST: usize = 1_000;

pub(super) static REQUEST: Section = Section {
    name: "request",
    says: "a request of a load",
    keys: &[&METHOD, &PATH, &HEADERS, &JSON, &BODY],
    rules: &[Rule::NotBoth("json", "body")],
};

/// A request of a mix.
pub(super) static WEIGHTED: Section = Section {
    name: "weighted-request",
    says: "a request of a mix",
    keys: &[&WEIGHT, &METHOD, &PATH, &HEADERS, &JSON, &BODY],
    rules: REQUEST.rules,
};

static WEIGHT: Key<Number, Usual> = Key {
    name: "weight",
    of: Number(0.0, 1e9, "a weight from 0 to 1e9"),
    absent: Usual("1.0"),
    says: "how often it is sent, in relation to the others; of `requests`",
};

static METHOD: Key<By<String>, Optional> = Key {
    name: "method",
    of: types::METHOD,
    absent: Optional("`\"GET\"`; `\"POST\"` with a body"),
    says: "the method",
};

static PATH: Key<Written, Required> = Key {
    name: "path",
    of: Written { words: "a path", schema: |_| text("/.*") },
    absent: Required("say which path is asked for: path = \"/…\""),
    says: "percent-encoded, with a query if it has one; `{name}` stands for a value",
};

static HEADERS: Key<Written, Optional> = Key {
    name: "headers",
    of: Written {
        words: "`{ x-tier = \"gold\" }`",
        schema: |_| json!({ "type": "object", "additionalProperties": { "type": "string" } }),
    },
    absent: Optional("none"),
    says: "headers; `{name}` stands for a value",
};

static JSON: Key<Written, Optional> = Key {
    name: "json",
    of: ANY,
    absent: Optional("none"),
    says: "the body, as JSON. A table such as `{ pick = … }` draws a value, and `{name}` in a text stands for one",
};

static BODY: Key<By<String>, Optional> = Key {
    name: "body",
    of: ANY_TEXT,
    absent: Optional("none"),
    says: "the body, as it is; in place of `json`",
};

/// Reads the requests of one load.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    /// Those that have names, and behind them those that requests draw in place.
    pub values: &'a mut Vec<model::Value>,
    pub folder: &'a Path,
}

impl Reader<'_> {
    /// `request = { … }`.
    pub fn only(&mut self, table: &Table<'_>) -> Option<RequestTemplate> {
        self.request(table, "", 1.0)
    }

    /// `requests = [{ weight = 3, … }, …]`.
    pub fn mix(&mut self, value: &Value<'_>) -> Option<Vec<RequestTemplate>> {
        let list = value.list()?;
        if !(1..=REQUESTS_AT_MOST).contains(&list.len()) {
            let problem = Problem::new(format!("requests has {} requests", list.len()));
            let problem = problem.label(format!("1 to {REQUESTS_AT_MOST} are needed"));
            return value.refuse(problem.help("write requests = [{ weight = 3, path = \"/…\" }, …]"));
        }
        let mut requests = Vec::new();
        for (index, item) in list.iter().enumerate() {
            let Some(table) = WEIGHTED.open(item, "the request") else { continue };
            let weight = WEIGHT.read(&table);
            // Only now: what else is wrong with the request is to be said too.
            let request = self.request(&table, &format!("{index}/"), weight.unwrap_or(1.0));
            requests.extend(weight.and(request));
        }
        if requests.len() < list.len() {
            return None;
        }
        if requests.iter().all(|request| request.weight == 0.0) {
            let problem = Problem::new("all weights of requests are 0").label("no request, ever");
            return value.refuse(problem.help("give at least one request a weight above 0"));
        }
        Some(requests)
    }

    /// A request; `prefix` tells the values that it draws from those of others.
    fn request(&mut self, table: &Table<'_>, prefix: &str, weight: f64) -> Option<RequestTemplate> {
        let (json, body) = (JSON.get(table), BODY.get(table));
        let usual = if json.is_some() || body.is_some() { "POST" } else { "GET" };
        let method = METHOD.read(table).map(|method| method.unwrap_or_else(|| usual.to_owned()));
        let path = PATH.need(table);
        let target = path.as_ref().and_then(|value| self.target(value));
        let headers = HEADERS.get(table).map_or(Some(Vec::new()), |value| self.headers(&value));
        let is_json = json.is_some();
        let body = match (json, body) {
            (Some(json), Some(_)) => json.refuse_key(
                Problem::new("the request has both json and body")
                    .label("a body is given as well")
                    .help("keep json for a body of JSON, or body for any other text"),
            ),
            (Some(value), None) => {
                let mut template = Template::default();
                self.json(&value, &format!("{prefix}json"), &mut template).map(|()| template)
            }
            (None, Some(_)) => BODY.written(table).map(|text| Template(vec![Piece::Fixed(text)])),
            (None, None) => Some(Template::default()),
        };
        let mut headers = headers?;
        if is_json && !headers.iter().any(|(name, _)| name == "content-type") {
            let value = Template(vec![Piece::Fixed("application/json".to_owned())]);
            headers.push(("content-type".to_owned(), value));
        }
        let place = path?.place();
        Some(RequestTemplate { weight, method: method?, target: target?, headers, body: body?, place })
    }

    fn target(&self, value: &Value<'_>) -> Option<Template> {
        let template = self.placeholders(value, Form::Percent)?;
        // Whatever is filled in is encoded.
        let example: String = template.0.iter().map(|piece| fixed(piece).unwrap_or("x")).collect();
        if is_target(&example) {
            return Some(template);
        }
        value.refuse(
            Problem::new(format!("{} is not a path", quote(value.text()?)))
                .label("not a path")
                .help("a path starts with / and is percent-encoded, as in \"/stock/red%20pen?verbose=1\""),
        )
    }

    fn headers(&self, value: &Value<'_>) -> Option<Vec<(String, Template)>> {
        let table = value.table("the headers")?;
        let read: Vec<_> = table.entries().iter().map(|entry| self.header(entry)).collect();
        read.into_iter().collect()
    }

    fn header(&self, entry: &Value<'_>) -> Option<(String, Template)> {
        if !is_token(entry.key) {
            let problem = Problem::new(format!("{} is not the name of a header", quote(entry.key)));
            return entry
                .refuse_key(problem.label("not a name").help("write it as in \"x-tier\" = \"gold\""));
        }
        let name = entry.key.to_ascii_lowercase();
        if name == "traceparent" || name == "tracestate" {
            let problem =
                Problem::new(format!("a load begins its own traces: {} has no place", quote(&name)));
            let help = "leave it out; span = true gives each request a CLIENT span, and a traceparent";
            return entry.refuse_key(problem.label("cannot be set").help(help));
        }
        let template = self.placeholders(entry, Form::Plain)?;
        match template.0.iter().find_map(|piece| self.unprintable(piece)) {
            Some(text) => entry.refuse(
                Problem::new(format!("{} cannot be in a header", quote(text)))
                    .label("has control characters")
                    .help("leave line breaks and other control characters out"),
            ),
            None => Some((name, template)),
        }
    }

    /// What a piece may say that no header can hold.
    fn unprintable<'b>(&'b self, piece: &'b Piece) -> Option<&'b str> {
        let wrong = |text: &&str| text.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f);
        match piece {
            Piece::Fixed(text) => Some(text.as_str()).filter(wrong),
            Piece::Value { index, .. } => match &self.values[*index].draw {
                Draw::Pick(choices) => choices.iter().map(|(_, literal)| literal.text.as_str()).find(wrong),
                Draw::Names(Names::Read(names)) => names.iter().map(String::as_str).find(wrong),
                _ => None,
            },
        }
    }

    /// Text with `{name}` for values; `{{` and `}}` are braces.
    fn placeholders(&self, value: &Value<'_>, form: Form) -> Option<Template> {
        let mut template = Template::default();
        let text = value.text()?;
        let wrong = |label: String, help: String| {
            value
                .refuse(Problem::new(format!("{} has a brace too many", quote(text))).label(label).help(help))
        };
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            push(&mut template, &written(&rest[..at], form));
            let (brace, behind) = rest[at..].split_at(1);
            if behind.starts_with(brace) {
                push(&mut template, brace);
                rest = &behind[1..];
                continue;
            }
            let name = behind.split_once('}').filter(|_| brace == "{");
            let Some((name, behind)) = name else {
                let label = "braces that do not pair up around a name".to_owned();
                return wrong(label, "write {name} for a value, {{ and }} for braces".to_owned());
            };
            template.0.push(Piece::Value { index: self.find(value, name)?, form });
            rest = behind;
        }
        push(&mut template, &written(rest, form));
        Some(template)
    }

    /// The value of that name.
    fn find(&self, value: &Value<'_>, name: &str) -> Option<usize> {
        if let Some(index) = self.values.iter().position(|known| known.name == name) {
            return Some(index);
        }
        let known: Vec<_> = self.values.iter().map(|known| known.name.as_str()).collect();
        // Those that are drawn in place have no name to call them by.
        let known = known.into_iter().filter(|name| !name.contains('/'));
        let help = did_you_mean(name, "values", known);
        value.refuse(
            Problem::new(format!("the load has no value {}", quote(name)))
                .label("no such value")
                .help(format!("{help}; add it to values = {{ … }}. In text, {{{{ is a brace")),
        )
    }

    /// Writes a value as JSON, behind `template`. `name` is the way to it.
    fn json(&mut self, value: &Value<'_>, name: &str, template: &mut Template) -> Option<()> {
        match value.item() {
            DeValue::Array(_) => {
                push(template, "[");
                let mut whole = Some(());
                for (index, item) in value.list()?.iter().enumerate() {
                    push(template, if index == 0 { "" } else { "," });
                    whole = self.json(item, &format!("{name}/{index}"), template).and(whole);
                }
                push(template, "]");
                whole
            }
            DeValue::Table(_) => self.json_table(value, name, template),
            DeValue::String(_) => {
                push(template, "\"");
                for piece in self.placeholders(value, Form::JsonText)?.0 {
                    match piece {
                        Piece::Fixed(text) => push(template, &text),
                        value @ Piece::Value { .. } => template.0.push(value),
                    }
                }
                push(template, "\"");
                Some(())
            }
            _ => {
                push(template, &draw::json(value)?);
                Some(())
            }
        }
    }

    /// An object, or one of the tables that stand for something else.
    fn json_table(&mut self, value: &Value<'_>, name: &str, template: &mut Template) -> Option<()> {
        let table = value.table(quote(value.key))?;
        match table.entries() {
            [only] if only.key == "value" => {
                let index = self.find(only, only.text()?)?;
                template.0.push(Piece::Value { index, form: Form::Json });
            }
            [only] if only.key == "literal" => push(template, &draw::json(only)?),
            _ if draw::draws(&table) => {
                let draw = draw::draw(&table, self.folder)?;
                template.0.push(Piece::Value { index: self.values.len(), form: Form::Json });
                self.values.push(model::Value { name: name.to_owned(), draw });
            }
            entries => {
                push(template, "{");
                let mut whole = Some(());
                for (index, entry) in entries.iter().enumerate() {
                    push(template, if index == 0 { "" } else { "," });
                    push(template, &draw::quoted(entry.key));
                    push(template, ":");
                    whole = self.json(entry, &format!("{name}/{}", entry.key), template).and(whole);
                }
                push(template, "}");
                return whole;
            }
        }
        Some(())
    }
}

fn fixed(piece: &Piece) -> Option<&str> {
    match piece {
        Piece::Fixed(text) => Some(text),
        Piece::Value { .. } => None,
    }
}

/// Fixed text, as a value of that form would be written.
fn written(text: &str, form: Form) -> String {
    match form {
        Form::JsonText => {
            let quoted = draw::quoted(text);
            quoted[1..quoted.len() - 1].to_owned()
        }
        // A path is written encoded already.
        _ => text.to_owned(),
    }
}

/// Adds fixed text.
fn push(template: &mut Template, text: &str) {
    match template.0.last_mut() {
        _ if text.is_empty() => {}
        Some(Piece::Fixed(last)) => last.push_str(text),
        _ => template.0.push(Piece::Fixed(text.to_owned())),
    }
}
