//! Regular expressions of what a topology's texts may be, for its JSON Schema. Each takes whatever
//! the reader takes, and may take more.

use serde_json::{Value as Json, json};

use super::rates::RATE_UNITS;
use super::schema::{any, text};
use super::units::{BIT_UNITS, INSTRUCTION_UNITS, SIZE_UNITS, TIME_UNITS};

/// The name of a topology, a load or a fault.
pub(super) const NAME: &str = "[A-Za-z0-9._-]{1,100}";

/// The name of a service.
pub(super) const SERVICE_NAME: &str = "[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?";

/// The method of a request.
pub(super) const METHOD: &str = "[^a-z\\s]+";

/// A path without a query.
pub(super) const PATH: &str = "/[^\\s?#]*";

/// A method and a path.
pub(super) const ROUTE: &str = "[A-Z]+ /[^\\s?#]*";

/// An origin, or an endpoint with a path.
pub(super) const URL: &str = "[Hh][Tt][Tt][Pp][Ss]?://[^/?#@]+(/.*)?";

/// A host, with a port or without.
pub(super) const HOST: &str = "[^/?#@\\s]+";

/// An IP address and a port.
pub(super) const LISTEN: &str = "[0-9a-fA-F.:\\[\\]%]+:[0-9]{1,5}";

const NUMBER: &str = "[0-9]+(\\.[0-9]+)?";

/// A length of time.
pub(super) fn time() -> String {
    format!("\\s*({NUMBER}\\s*({}))+\\s*", units(&TIME_UNITS))
}

/// A length of time, or a normal distribution of it.
pub(super) fn varying_time() -> String {
    format!("{0}(\\+/-{0})?", time())
}

/// The time of an instruction.
pub(super) fn time_of_instruction() -> String {
    format!("\\s*(0|{NUMBER}\\s*({}))\\s*", units(&INSTRUCTION_UNITS))
}

pub(super) fn size() -> String {
    format!("\\s*{NUMBER}\\s*({})\\s*", units(&SIZE_UNITS))
}

pub(super) fn bandwidth() -> String {
    format!("\\s*{NUMBER}\\s*({}|{})\\s*/s", units(&SIZE_UNITS), units(&BIT_UNITS))
}

pub(super) fn rate() -> String {
    format!("[0-9.e+-]+/({})", units(&RATE_UNITS))
}

pub(super) fn share() -> Json {
    any([json!({ "type": "number", "minimum": 0, "maximum": 1 }), text("[0-9.]+\\s*%?")])
}

fn units<T>(units: &[(&str, T)]) -> String {
    units.iter().map(|(unit, _)| *unit).collect::<Vec<_>>().join("|")
}
