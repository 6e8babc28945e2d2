//! Wrong answers, which `simhost lab dev check` tries.

use super::checks::Check;
use super::file::FILE;
use crate::error::{Problem, did_you_mean, quote};
use crate::topology::key::{Key, Optional, Required};
use crate::topology::reader::Table;
use crate::topology::section::{Section, Subs};
use crate::topology::shapes::{By, OneOrMore};
use crate::topology::types::TEXT;

/// What catches a change of what is frozen.
pub const FROZEN_CHECK: &str = "frozen";

/// A wrong answer that checks have to catch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub name: String,
    /// All of these.
    pub caught_by: Vec<String>,
}

pub static WRONG: Key<Subs, Optional> = Key {
    name: "wrong",
    of: Subs(&Section {
        name: "wrong",
        says: "a wrong answer in `wrong/NAME/`, for `simhost lab dev check`",
        keys: &[&WRONG_NAME, &CAUGHT_BY],
        rules: &[],
    }),
    absent: Optional("none"),
    says: "wrong answers in `wrong/NAME/`, each with the check that has to catch it",
};

static WRONG_NAME: Key<By<String>, Required> =
    Key { name: "name", of: FILE, absent: Required("name its folder"), says: "its folder in `wrong/`" };

static CAUGHT_BY: Key<OneOrMore<By<String>>, Required> = Key {
    name: "caught-by",
    of: OneOrMore { words: "text, or a list of texts", of: TEXT },
    absent: Required("name the check that has to fail, or \"frozen\""),
    says: "the name of the check that has to fail, or of several; `\"frozen\"` for what may not be changed",
};

/// The wrong answer of a table, in a lab with these checks.
pub fn read(table: &Table<'_>, checks: &[Check]) -> Option<Wrong> {
    let (name, caught_by) = (WRONG_NAME.read(table), CAUGHT_BY.read(table)?);
    let known = || checks.iter().map(|check| check.name.as_str()).chain([FROZEN_CHECK]);
    if caught_by.is_empty() {
        let problem = Problem::new("a wrong answer names the check that has to catch it").label("no check");
        return CAUGHT_BY.get(table)?.refuse(problem.help(CAUGHT_BY.absent.0));
    }
    let is_unknown = |name: &&String| !checks.is_empty() && known().all(|known| known != *name);
    if let Some(name) = caught_by.iter().find(is_unknown) {
        let problem = Problem::new(format!("the lab has no check {}", quote(name))).label("no such check");
        let help = did_you_mean(name, "checks", known());
        return CAUGHT_BY.get(table)?.refuse(problem.help(help));
    }
    Some(Wrong { name: name?, caught_by })
}
