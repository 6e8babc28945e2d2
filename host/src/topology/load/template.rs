//! Requests of a load, with what changes from one to the next.

use toml::de::DeValue;

use super::super::reader::{Table, Value};
use crate::error::{Problem, quote};
use crate::message::{is_target, is_token};
use crate::model::{self, Draw, Form, Literal, Piece, RequestTemplate, Template};

/// `request = { method = …, path = …, headers = …, json = … }`. What its
/// templates draw goes into `values`.
pub(super) fn request(value: &Value<'_>, values: &mut Vec<model::Value>) -> Option<RequestTemplate> {
    let table = value.table("the request")?;
    let [method_value, path, headers_value, json_value, body] =
        table.keys(["method", "path", "headers", "json", "body"]);
    let method = method_value.map_or(Some("GET".to_owned()), |value| value.read(method));
    let remedy = "say which path is asked for: path = \"/…\"";
    let target = table.need("path", path, remedy).and_then(|value| value.read(target));
    let mut headers = headers_value.map_or_else(|| Some(Vec::new()), |value| headers(&value))?;
    let body = match (json_value, body) {
        (Some(json), Some(_)) => json.refuse_key(
            Problem::new("the request has both json and body")
                .label("a body is given as well")
                .help("keep json for a body of JSON, or body for any other text"),
        ),
        (Some(value), None) => {
            if !headers.iter().any(|(name, _)| name == "content-type") {
                headers.push(("content-type".to_owned(), fixed("application/json")));
            }
            let mut writer = Json { template: Template::default(), values };
            writer.value(&value, "json")?;
            Some(writer.template)
        }
        (None, Some(value)) => value.text().map(fixed),
        (None, None) => Some(Template::default()),
    };
    Some(RequestTemplate { weight: 1.0, method: method?, target: target?, headers, body: body? })
}

fn fixed(text: &str) -> Template {
    Template(vec![Piece::Fixed(text.to_owned())])
}

fn method(text: &str) -> Result<String, Problem> {
    if is_token(text) && text.to_uppercase() == text {
        return Ok(text.to_owned());
    }
    let help = if is_token(text) { quote(&text.to_uppercase()) } else { "\"GET\" or \"POST\"".to_owned() };
    Err(Problem::new(format!("{} is not a method", quote(text)))
        .label("not a method")
        .help(format!("write {help}")))
}

fn target(text: &str) -> Result<Template, Problem> {
    if is_target(text) {
        return Ok(fixed(text));
    }
    Err(Problem::new(format!("{} is not a path", quote(text)))
        .label("not a path")
        .help("a path starts with / and is percent-encoded, as in \"/stock/red%20pen?verbose=1\""))
}

fn headers(value: &Value<'_>) -> Option<Vec<(String, Template)>> {
    let table = value.table("the headers")?;
    let read = |entry: &Value<'_>| {
        if !is_token(entry.key) {
            let problem = Problem::new(format!("{} is not the name of a header", quote(entry.key)));
            return entry
                .refuse_key(problem.label("not a name").help("write it as in \"x-tier\" = \"gold\""));
        }
        Some((entry.key.to_ascii_lowercase(), fixed(entry.text()?)))
    };
    let read: Vec<_> = table.entries().iter().map(read).collect();
    read.into_iter().collect()
}

/// Writes TOML as JSON, draws left open.
struct Json<'a> {
    template: Template,
    values: &'a mut Vec<model::Value>,
}

impl Json<'_> {
    fn fixed(&mut self, text: &str) {
        match self.template.0.last_mut() {
            Some(Piece::Fixed(last)) => last.push_str(text),
            _ => self.template.0.push(Piece::Fixed(text.to_owned())),
        }
    }

    /// Writes a value. `name` is the way to it.
    fn value(&mut self, value: &Value<'_>, name: &str) -> Option<()> {
        match value.item() {
            DeValue::Array(_) => {
                for (index, item) in value.list()?.iter().enumerate() {
                    self.fixed(if index == 0 { "[" } else { "," });
                    self.value(item, &format!("{name}/{index}"))?;
                }
                self.fixed(if value.list()?.is_empty() { "[]" } else { "]" });
                Some(())
            }
            DeValue::Table(_) => {
                let table = value.table(quote(value.key))?;
                match table.entries() {
                    [entry] if entry.key == "pick" => self.draw(name, pick(entry)?),
                    _ => return self.object(&table, name),
                }
                Some(())
            }
            _ => {
                let literal = literal(value)?;
                self.fixed(&literal.json);
                Some(())
            }
        }
    }

    fn object(&mut self, table: &Table<'_>, name: &str) -> Option<()> {
        for (index, entry) in table.entries().iter().enumerate() {
            self.fixed(if index == 0 { "{" } else { "," });
            self.fixed(&serde_json::Value::from(entry.key).to_string());
            self.fixed(":");
            self.value(entry, &format!("{name}/{}", entry.key))?;
        }
        self.fixed(if table.entries().is_empty() { "{}" } else { "}" });
        Some(())
    }

    fn draw(&mut self, name: &str, draw: Draw) {
        let index = self.values.len();
        self.values.push(model::Value { name: name.to_owned(), draw });
        self.template.0.push(Piece::Value { index, form: Form::Json });
    }
}

/// `pick = [[0.9, 2], [0.1, 8]]`: pairs of weight and value.
fn pick(value: &Value<'_>) -> Option<Draw> {
    let mut choices = Vec::new();
    let mut sum = 0.0;
    for pair in value.list()? {
        let [weight, choice] = &pair.list()?[..] else {
            return pair.refuse(
                Problem::new("each choice of pick is a pair")
                    .label("not a pair")
                    .help("write a weight and a value, as in pick = [[0.9, 2], [0.1, 8]]"),
            );
        };
        sum += weight.number("a weight of 0 or more", |weight| weight >= 0.0)?;
        choices.push((sum, literal(choice)?));
    }
    if sum > 0.0 {
        return Some(Draw::Pick(choices));
    }
    value.refuse(
        Problem::new("pick has nothing to choose from")
            .label("no choice with a weight above 0")
            .help("write weights and values, as in pick = [[0.9, 2], [0.1, 8]]"),
    )
}

/// A value that is the same in every request.
fn literal(value: &Value<'_>) -> Option<Literal> {
    let json = match value.item() {
        DeValue::String(text) => {
            let json = serde_json::Value::from(&**text).to_string();
            return Some(Literal { json, text: text.clone().into_owned() });
        }
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Float(_) => format!("{:?}", value.number("a finite number", |_| true)?),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => number.to_string(),
            Err(_) => {
                return value.refuse(
                    Problem::new(format!("{} does not fit into 64 bits", quote(value.key)))
                        .label("too large")
                        .help("put it in quotes to send it as text"),
                );
            }
        },
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            return value
                .refuse_kind("a string, a number, true or false", "put it in quotes to send it as text");
        }
    };
    Some(Literal { text: json.clone(), json })
}
