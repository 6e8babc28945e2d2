//! SHOW and SET: settings that have one value here.

use sqlparser::ast::{Expr, Ident, ObjectName, Set, TransactionMode, Value as Literal};

use super::{Plan, Run, Translator, folded, literal, quoted, within_isolation};
use crate::catalogue::Output;
use crate::error::{Failure, Result, sqlstate};
use crate::lock::Strength;
use crate::types::Type;

/// What `version()` gives. Errors and messages are those of PostgreSQL 17.
pub(super) const VERSION: &str = "PostgreSQL 17.0 (simhost)";

/// Settings, and their values.
const SETTINGS: [(&str, &str); 18] = [
    ("server_version", "17.0"),
    ("server_version_num", "170000"),
    ("server_encoding", "UTF8"),
    ("client_encoding", "UTF8"),
    ("standard_conforming_strings", "on"),
    ("search_path", "\"$user\", public"),
    ("timezone", "UTC"),
    ("datestyle", "ISO, MDY"),
    ("intervalstyle", "postgres"),
    ("integer_datetimes", "on"),
    ("bytea_output", "hex"),
    ("max_identifier_length", "63"),
    ("transaction_isolation", "read committed"),
    ("default_transaction_isolation", "read committed"),
    ("transaction_read_only", "off"),
    ("default_transaction_read_only", "off"),
    ("lc_collate", "C"),
    ("is_superuser", "on"),
];

/// Settings that have no effect here, whatever their value is.
const WITHOUT_EFFECT: [&str; 7] = [
    "application_name",
    "extra_float_digits",
    "client_min_messages",
    "check_function_bodies",
    "row_security",
    "xmloption",
    "default_table_access_method",
];

/// Settings that the topology makes; none, which is 0, may be set.
const TIMEOUTS: [(&str, &str); 5] = [
    ("statement_timeout", "set `statement-timeout` of [databases.NAME]"),
    ("lock_timeout", "set `lock-timeout` of [databases.NAME]"),
    ("transaction_timeout", "set a timeout of the link or of the service"),
    ("idle_in_transaction_session_timeout", "set a timeout of the link or of the service"),
    ("idle_session_timeout", "leave it out"),
];

fn value_of(name: &str) -> Option<&'static str> {
    let found = SETTINGS.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    let timeout = || TIMEOUTS.iter().find(|(known, _)| *known == name).map(|_| "0");
    let empty = || WITHOUT_EFFECT.iter().find(|known| **known == name).map(|_| "");
    found.or_else(timeout).or_else(empty)
}

fn unknown(name: &str) -> Failure {
    let message = format!("unrecognized configuration parameter \"{name}\"");
    Failure::new(sqlstate::UNDEFINED_OBJECT, message).hint("settings belong to the topology: leave it out")
}

impl Translator<'_> {
    pub(super) fn show(mut self, words: &[Ident]) -> Result<Run> {
        let words: Vec<String> = words.iter().map(|word| folded(word).to_lowercase()).collect();
        let name = match words.join(" ").as_str() {
            "time zone" => "timezone".to_owned(),
            "transaction isolation level" => "transaction_isolation".to_owned(),
            other => other.to_owned(),
        };
        let value = value_of(&name).ok_or_else(|| unknown(&name))?;
        self.put(&format!("SELECT {} AS {}", literal(value), quoted(&name)));
        self.run(Some(vec![Output::plain(name, Type::Text, true)]), Strength::Update)
    }

    /// `current_setting('name')`.
    pub(super) fn current_setting(&mut self, setting: &Literal) -> Result<()> {
        let name = setting.clone().into_string().unwrap_or_default().to_lowercase();
        let value = value_of(&name).ok_or_else(|| unknown(&name))?;
        self.put(&literal(value));
        Ok(())
    }
}

/// SET of what is so already, or has no effect.
pub(super) fn set(set: &Set) -> Result<Plan> {
    match set {
        Set::SingleAssignment { variable, values, .. } => assigned(variable, values)?,
        Set::SetTimeZone { value, .. } => {
            assigned(&ObjectName::from(vec![Ident::new("timezone")]), std::slice::from_ref(value))?
        }
        Set::SetNames { charset_name, .. } => {
            let values = [Expr::Identifier(charset_name.clone())];
            assigned(&ObjectName::from(vec![Ident::new("client_encoding")]), &values)?;
        }
        Set::SetTransaction { modes, snapshot: None, .. } => {
            within_isolation(modes)?;
            if modes.iter().any(
                |mode| matches!(mode, TransactionMode::AccessMode(mode) if mode.to_string() == "READ ONLY"),
            ) {
                return Err(Failure::unsupported("a transaction that is READ ONLY", "leave it out"));
            }
        }
        other => {
            let hint = "there is one user, and settings belong to the topology: leave it out";
            return Err(Failure::unsupported(format!("`{other}`"), hint));
        }
    }
    Ok(Plan::Nothing)
}

fn assigned(variable: &ObjectName, values: &[Expr]) -> Result<()> {
    let name = variable.to_string().to_lowercase();
    let wanted: Vec<String> = values
        .iter()
        .map(|value| match value {
            Expr::Value(value) => {
                value.value.clone().into_string().unwrap_or_else(|| value.value.to_string())
            }
            Expr::Identifier(name) => name.value.clone(),
            other => other.to_string(),
        })
        .collect();
    let wanted = wanted.join(", ").to_lowercase();
    let known = value_of(&name).ok_or_else(|| unknown(&name))?;
    let is_so = match name.as_str() {
        _ if wanted == "default" || WITHOUT_EFFECT.contains(&name.as_str()) => true,
        "client_encoding" => ["utf8", "utf-8", "unicode"].contains(&wanted.as_str()),
        "timezone" => ["utc", "gmt", "etc/utc", "z", "0", "local"].contains(&wanted.as_str()),
        "datestyle" => wanted.starts_with("iso"),
        "search_path" => wanted.is_empty() || wanted.split(", ").any(|schema| schema == "public"),
        "standard_conforming_strings" | "is_superuser" => ["on", "true", "1"].contains(&wanted.as_str()),
        "transaction_read_only" | "default_transaction_read_only" => {
            ["off", "false", "0"].contains(&wanted.as_str())
        }
        _ => known.to_lowercase() == wanted,
    };
    if is_so {
        return Ok(());
    }
    let hint = TIMEOUTS.iter().find(|(known, _)| *known == name).map_or_else(
        || format!("it is {known} here: leave it out"),
        |(_, hint)| format!("{hint} in the topology, and leave it out"),
    );
    Err(Failure::unsupported(format!("SET {name} to {wanted}"), hint))
}
