//! Names of files of a lab.

use crate::error::{Problem, quote};
use crate::topology::schema::text;
use crate::topology::shapes::By;

pub const FILE: By<String> = By {
    words: "the name of a file",
    schema: |_| text("[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*"),
    read: |value| value.read(file),
};

/// The name of a file below a folder.
fn file(text: &str) -> Result<String, Problem> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && part.chars().all(is_plain);
    if text.split('/').all(is_part) {
        return Ok(text.to_owned());
    }
    let problem = Problem::new(format!("{} is no name of a file below the folder", quote(text)));
    Err(problem
        .label("not such a name")
        .help("write letters, digits, `.`, `_` and `-`, with / between folders"))
}
