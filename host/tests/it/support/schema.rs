//! Holds a document against a JSON Schema, as far as the report's goes.
//!
//! Stricter than the standard: a key that the schema does not describe is
//! wrong, and so is a keyword that is not known here.

use serde_json::{Map, Value};

/// What is wrong with the document, by its place in it: `/routes/0/count: …`.
pub fn problems(schema: &Value, document: &Value) -> Vec<String> {
    let mut check = Check { root: schema, found: Vec::new() };
    check.value("", schema, document);
    check.found
}

struct Check<'a> {
    root: &'a Value,
    found: Vec<String>,
}

impl<'a> Check<'a> {
    fn value(&mut self, place: &str, schema: &'a Value, value: &Value) {
        let Some(schema) = schema.as_object() else { return self.wrong(place, "its schema is no object") };
        for (keyword, rule) in schema {
            match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" | "format" => {}
                "$ref" => {
                    let target = rule.as_str().and_then(|to| self.root.pointer(to.strip_prefix('#')?));
                    match target {
                        Some(target) => self.value(place, target, value),
                        None => self.wrong(place, "its schema refers to nothing"),
                    }
                }
                "type" => self.kind(place, rule, value),
                "properties" => self.properties(place, schema, value),
                "required" => {
                    let names = rule.as_array().into_iter().flatten().filter_map(Value::as_str);
                    for name in names.filter(|name| value.get(name).is_none()) {
                        self.wrong(place, &format!("has no {name}"));
                    }
                }
                // Of what properties do not describe nothing is allowed in any case.
                "additionalProperties" if *rule == Value::Bool(false) => {}
                "additionalProperties" => {
                    for (key, value) in value.as_object().into_iter().flatten() {
                        self.value(&format!("{place}/{key}"), rule, value);
                    }
                }
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.value(&format!("{place}/{index}"), rule, item);
                    }
                }
                "minimum" => {
                    if value.as_f64().is_some_and(|value| Some(value) < rule.as_f64()) {
                        self.wrong(place, &format!("{value} is less than {rule}"));
                    }
                }
                "maximum" => {
                    if value.as_f64().is_some_and(|value| Some(value) > rule.as_f64()) {
                        self.wrong(place, &format!("{value} is more than {rule}"));
                    }
                }
                "oneOf" | "anyOf" => self.any(place, rule, value),
                "const" if rule == value => {}
                "enum" if rule.as_array().is_some_and(|values| values.contains(value)) => {}
                _ => self.wrong(place, &format!("{value} does not meet {keyword}: {rule}")),
            }
        }
    }

    fn kind(&mut self, place: &str, rule: &Value, value: &Value) {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let allowed = rule.as_array().map_or_else(|| vec![rule], |kinds| kinds.iter().collect());
        let fits = |allowed: &str| allowed == kind || allowed == "number" && kind == "integer";
        if !allowed.iter().any(|allowed| allowed.as_str().is_some_and(fits)) {
            self.wrong(place, &format!("{value} is no {rule}"));
        }
    }

    fn properties(&mut self, place: &str, schema: &'a Map<String, Value>, value: &Value) {
        for (key, value) in value.as_object().into_iter().flatten() {
            match schema["properties"].get(key) {
                Some(schema) => self.value(&format!("{place}/{key}"), schema, value),
                None => self.wrong(place, &format!("has {key}, which the schema does not know")),
            }
        }
    }

    fn any(&mut self, place: &str, rule: &'a Value, value: &Value) {
        let fits = |schema: &'a Value| {
            let mut check = Check { root: self.root, found: Vec::new() };
            check.value(place, schema, value);
            check.found.is_empty()
        };
        if !rule.as_array().into_iter().flatten().any(fits) {
            self.wrong(place, &format!("{value} fits none of {rule}"));
        }
    }

    fn wrong(&mut self, place: &str, what: &str) {
        self.found.push(format!("{place}: {what}"));
    }
}

#[test]
fn a_document_that_is_not_as_described_is_found() {
    let schema = serde_json::json!({
        "type": "object",
        "properties": {
            "count": { "type": "integer", "minimum": 0, "maximum": 9 },
            "route": { "type": ["string", "null"] },
            "rows": { "type": "array", "items": { "$ref": "#/$defs/row" } },
        },
        "required": ["count"],
        "$defs": { "row": { "enum": ["a", "b"] } },
    });
    let check = |document| problems(&schema, &document).join("; ");
    assert_eq!(check(serde_json::json!({ "count": 1, "route": null, "rows": ["a", "b"] })), "");
    assert_eq!(check(serde_json::json!({ "route": "x" })), ": has no count");
    assert_eq!(check(serde_json::json!({ "count": -1 })), "/count: -1 is less than 0");
    assert_eq!(check(serde_json::json!({ "count": 10 })), "/count: 10 is more than 9");
    assert_eq!(check(serde_json::json!({ "count": 1.5 })), "/count: 1.5 is no \"integer\"");
    assert_eq!(check(serde_json::json!({ "count": 1, "x": 1 })), ": has x, which the schema does not know");
    let row = check(serde_json::json!({ "count": 1, "rows": ["a", "c"] }));
    assert_eq!(row, "/rows/1: \"c\" does not meet enum: [\"a\",\"b\"]");
}
