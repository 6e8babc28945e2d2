//! The tables of the reference of faults are those that the kinds declare.

use std::path::Path;

use simhost::topology::{self, KindReference};

/// Above the table of all kinds.
const KINDS: &str = "| kind | in production | strikes | a ramp changes |\n|---|---|---|---|\n";

/// The page with its tables made anew: that of all kinds, and below each kind's heading
/// that of its keys.
fn with_tables(page: &str, kinds: &[KindReference]) -> String {
    let all: String = [KINDS].into_iter().chain(kinds.iter().map(|kind| &*kind.line)).collect();
    let (mut made, mut heading) = (String::new(), "");
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with('#') {
            heading = line;
        }
        let of_heading = || kinds.iter().find(|kind| heading == format!("### `{}`", kind.name));
        let table = match line {
            _ if line.starts_with("| kind |") => Some(&*all),
            _ if line.starts_with("| key |") => of_heading().map(|kind| &*kind.keys),
            _ => None,
        };
        match table {
            Some(table) => {
                made.push_str(table);
                while lines.next_if(|line| line.starts_with('|')).is_some() {}
            }
            None => made.extend([line, "\n"]),
        }
    }
    made
}

#[test]
fn the_tables_of_the_reference_are_made_from_the_kinds() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/faults.md");
    let page = std::fs::read_to_string(&path).expect("the reference of faults");
    let kinds = topology::fault_kinds();
    let made = with_tables(&page, &kinds);
    for kind in &kinds {
        assert!(made.contains(&kind.line), "{} is not in the table of kinds", kind.name);
        assert!(made.contains(&kind.keys), "below {} there is no table of its keys", kind.name);
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &made).expect("the page is written");
    } else {
        assert!(made == page, "the tables of {} are of other declarations: run with BLESS=1", path.display());
    }
}
