//! What is wrong with a service before it serves anything.

use simhost_notation::quote;

/// Something that is wrong with the service's configuration, or with the guest itself, as the contract has it. The
/// simulator reports all of them, each with its line in the topology, and runs nothing.
pub use crate::bindings::exports::simhost::service::handler::Problem;

impl Problem {
    /// A problem of one key of the configuration, with the tables above it: `show.work`. The message says what is
    /// wrong, with the value; the simulator puts the key in front of it.
    pub fn of(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..Self::new(message) }
    }

    /// A problem of the guest itself.
    pub fn new(message: impl Into<String>) -> Self {
        Self { key: None, message: message.into(), remedy: None }
    }

    /// A value of the configuration that is not valid: it is quoted, with the reason, and with a usual remedy.
    pub fn invalid(key: impl Into<String>, value: &str, why: &str) -> Self {
        let problem = Self::of(key, format!("{} is not valid: {why}", quote(value)));
        problem.remedy("correct it, or remove it for the default")
    }

    /// The same problem, found in a table of the configuration: the key of the table stands in front of its own.
    #[must_use]
    pub fn within(self, table: &str) -> Self {
        let key = self.key.map_or_else(|| table.to_owned(), |key| format!("{table}.{key}"));
        Self { key: Some(key), ..self }
    }

    /// The same problem with what to write instead.
    #[must_use]
    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}
