//! What was handed in: a folder for each submission, and the table of their salts.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use crate::error::{INFALLIBLE, Problem, Refused, quote, steers_terminal};
use crate::report::words::counted;

use super::files;

/// Submissions of one command.
const SUBMISSIONS_AT_MOST: usize = 10_000;

/// Names that a note lists; of the others it says how many there are.
const NAMED_AT_MOST: usize = 3;

/// How names of archives end.
const ARCHIVES: [&str; 8] = [".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".7z", ".rar"];

/// One that was handed in, or should have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The name of its folder, with escapes in place of what cannot be shown; no two have the same.
    pub name: String,
    pub handed: Handed,
}

/// Whether a submission can be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handed {
    /// Its folder, and what its hidden seeds and its names follow from.
    In { folder: PathBuf, salt: String },
    /// The table of salts has no row for it.
    WithoutSalt,
    /// It gets no points, for this reason.
    Not(String),
    /// Something else has to be done first.
    Unready(String),
}

/// All that is graded, in the order of the names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub submissions: Vec<Submission>,
    /// What is left out, and what does not fit together.
    pub notes: Vec<String>,
}

/// A table of salts: the name of a folder and a salt in each row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salts {
    /// Its file.
    named: String,
    rows: BTreeMap<String, String>,
}

/// What lies in the folder of the submissions.
#[derive(Default)]
struct Entries {
    /// Names, and whether they are links.
    folders: Vec<(OsString, bool)>,
    files: Vec<String>,
    /// Hidden folders.
    hidden: Vec<String>,
}

/// The submissions in a folder, each with its salt.
///
/// # Errors
/// The folder cannot be read, has none or too many, or the table of salts is of other folders.
pub fn submissions(folder: &Path, salts: Option<Salts>) -> Result<Found, Problem> {
    let place = quote(&folder.display().to_string());
    let Entries { folders, files, hidden } = entries(folder, salts.as_ref())?;
    let (table, mut rows) = salts.map_or((None, BTreeMap::new()), |salts| (Some(salts.named), salts.rows));
    let (has_folders, asked_for) = (!folders.is_empty(), rows.len());
    let mut found: Vec<Submission> = Vec::new();
    for (raw, is_link) in folders {
        let name = shown(&raw);
        let row = raw.to_str().and_then(|raw| rows.remove(raw)).or_else(|| rows.remove(&name));
        let handed = match (is_link, row, &table) {
            (true, ..) => Handed::Not("it is a symbolic link, not a folder".to_owned()),
            (false, None, Some(_)) => Handed::WithoutSalt,
            (false, salt, _) => Handed::In { folder: folder.join(&raw), salt: salt.unwrap_or_default() },
        };
        found.push(Submission { name, handed });
    }
    if has_folders && asked_for > 0 && rows.len() == asked_for {
        let table = quote(table.as_deref().unwrap_or_default());
        let problem = Problem::new(format!("no row of {table} names a folder in {place}"));
        return Err(problem.help("write the name of a folder, a comma, and its salt"));
    }
    let (packed, files): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| is_alone(file, &found));
    for file in packed {
        let stem = stem(&file).filter(|stem| rows.remove(*stem).is_some());
        let name = stem.unwrap_or(&file).to_owned();
        let why = format!("unpack the archive {file} into a folder of its own first");
        found.push(Submission { name, handed: Handed::Unready(why) });
    }
    if found.is_empty() {
        let problem = Problem::new(format!("{place} has no folders"));
        return Err(problem.help("put each submission into a folder of its own"));
    }
    let table = table.unwrap_or_default();
    let without = found.iter().filter(|known| known.handed == Handed::WithoutSalt);
    let without: Vec<_> = without.map(|known| &*known.name).collect();
    let absent: Vec<_> = rows.keys().map(String::as_str).collect();
    let notes = [
        note(
            "file",
            &borrowed(&files),
            "is not graded, as it is no folder",
            "are not graded, as they are no folders",
        ),
        note("hidden folder", &borrowed(&hidden), "is not graded", "are not graded"),
        note("submission", &without, &format!("has no row in {table}"), &format!("have no rows in {table}")),
        note(
            "row",
            &absent,
            &format!("of {table} has no submission"),
            &format!("of {table} have no submissions"),
        ),
    ];
    let notes = notes.into_iter().flatten().collect();
    // Who has handed nothing in is in the table too.
    let nothing = |name| Submission { name, handed: Handed::Not("nothing was handed in".to_owned()) };
    found.extend(rows.into_keys().map(nothing));
    if found.len() > SUBMISSIONS_AT_MOST {
        let problem = Problem::new(format!("{place} has {} submissions", found.len()));
        return Err(problem.help(format!("grade {SUBMISSIONS_AT_MOST} at a time, at most")));
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Found { submissions: found, notes })
}

fn entries(folder: &Path, salts: Option<&Salts>) -> Result<Entries, Problem> {
    let cannot = |error| files::cannot("read", folder, &error);
    let mut found = Entries::default();
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let (raw, kind) = (entry.file_name(), entry.file_type().map_err(cannot)?);
        let name = shown(&raw);
        let is_hidden = name.starts_with('.') && !salts.is_some_and(|salts| salts.rows.contains_key(&name));
        match (kind.is_dir() || kind.is_symlink(), is_hidden) {
            (true, true) => found.hidden.push(name),
            (true, false) => found.folders.push((raw, kind.is_symlink())),
            (false, false) => found.files.push(name),
            // Such as those that a Mac writes everywhere.
            (false, true) => {}
        }
    }
    found.folders.sort();
    found.files.sort();
    found.hidden.sort();
    Ok(found)
}

/// The name of an archive without its ending.
fn stem(file: &str) -> Option<&str> {
    let lower = file.to_ascii_lowercase();
    let ending =
        ARCHIVES.iter().filter(|ending| lower.ends_with(**ending)).max_by_key(|ending| ending.len())?;
    file.get(..file.len() - ending.len())
}

/// Whether a file is an archive, by its name.
pub fn is_archive(file: &str) -> bool {
    stem(file).is_some()
}

/// Whether a file is an archive that no folder was unpacked from.
fn is_alone(file: &str, folders: &[Submission]) -> bool {
    stem(file).is_some_and(|stem| !folders.iter().any(|folder| folder.name == stem))
}

/// A name with escapes in place of what would steer a terminal, end a line, or is no UTF-8. A `\` is escaped,
/// so that no two names are shown alike.
fn shown(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                c if c.is_control() || steers_terminal(c) => text.extend(c.escape_default()),
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            write!(text, "\\x{byte:02x}").expect(INFALLIBLE);
        }
    }
    text
}

fn borrowed(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

/// `2 files are not graded: a, b`; none of nothing.
fn note(what: &str, names: &[&str], one: &str, several: &str) -> Option<String> {
    let verb = match names.len() {
        0 => return None,
        1 => one,
        _ => several,
    };
    let mut listed = names.iter().take(NAMED_AT_MOST).copied().collect::<Vec<_>>().join(", ");
    if let Some(more) = names.len().checked_sub(NAMED_AT_MOST).filter(|more| *more > 0) {
        listed.push_str(&format!(" and {more} more"));
    }
    Some(format!("{} {verb}: {listed}", counted(names.len() as u64, what)))
}

impl Salts {
    /// Reads the table; `named` is its file.
    ///
    /// # Errors
    /// It has no rows, or every row that is none of a folder and a salt.
    pub fn parse(named: &str, text: &str) -> Result<Self, Refused> {
        let (mut rows, mut problems) = (BTreeMap::new(), Vec::new());
        let lines = lines(text).filter(|(line, _)| !line.trim().is_empty()).enumerate();
        let number = |at: &Range<usize>| text[..at.start].matches('\n').count() + 1;
        for (index, (line, at)) in lines {
            let refuse =
                |what: String, label: &str, help: &str| Problem::new(what).at(at.clone(), label).help(help);
            let cells = match cells(line) {
                Ok(cells) => cells,
                Err(why) => {
                    let what = format!("line {}: {why}", number(&at));
                    problems.push(refuse(what, "it begins here", "close the quote in the same line"));
                    continue;
                }
            };
            let cells: Vec<_> = cells.iter().map(String::as_str).collect();
            match *cells {
                [folder, salt] if index == 0 && is_head(&[folder, salt]) => {}
                _ if index == 0 && is_meant_as_head(&cells) => {
                    let what = format!("the head is {}, and has to be \"folder,salt\"", quote(line.trim()));
                    problems.push(refuse(
                        what,
                        "other columns",
                        "name the columns folder and salt, in this order",
                    ));
                }
                [folder, salt] if is_name(folder) => {
                    if rows.insert(folder.to_owned(), salt.to_owned()).is_some() {
                        let what = format!("line {}: {} is there twice", number(&at), quote(folder));
                        problems.push(refuse(what, "named before", "give each folder one salt"));
                    }
                }
                _ => {
                    let what = format!("line {} is no row of a folder and a salt", number(&at));
                    problems.push(refuse(
                        what,
                        "no such row",
                        "write the name of a folder, a comma, and its salt",
                    ));
                }
            }
        }
        if rows.is_empty() && problems.is_empty() {
            let problem = Problem::new(format!("{} has no rows", quote(named)));
            return Err(Refused::new(
                None,
                vec![problem.help("write a row folder,salt for each submission")],
            ));
        }
        match problems.is_empty() {
            true => Ok(Self { named: named.to_owned(), rows }),
            false => Err(Refused::new(Some((named, text)), problems)),
        }
    }
}

/// The lines of a text with their places, without what ends them.
fn lines(text: &str) -> impl Iterator<Item = (&str, Range<usize>)> {
    let mut at = text.len() - text.trim_start_matches('\u{feff}').len();
    text[at..].split_inclusive('\n').map(move |whole| {
        let line = whole.trim_end_matches(['\r', '\n']);
        let place = at..at + line.len();
        at += whole.len();
        (line, place)
    })
}

fn is_head(cells: &[&str]) -> bool {
    cells.iter().map(|cell| cell.to_ascii_lowercase()).eq(["folder", "salt"])
}

/// Whether cells are names of columns.
fn is_meant_as_head(cells: &[&str]) -> bool {
    cells.iter().any(|cell| ["folder", "salt"].contains(&&*cell.to_ascii_lowercase()))
}

/// Whether a text is the name of a folder, and not a path.
fn is_name(text: &str) -> bool {
    let mut parts = Path::new(text).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == text)
}

/// The cells of a line of CSV (RFC 4180), which are in quotes or not.
fn cells(line: &str) -> Result<Vec<String>, &'static str> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell).trim().to_owned()),
            c => cell.push(c),
        }
    }
    cells.push(cell.trim().to_owned());
    if quoted { Err("a quote is not closed") } else { Ok(cells) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_salts_may_be_in_quotes() {
        let text = "\u{feff}Folder, salt\r\nada,s1\r\n\n\"bob, jr\",\"s \"\"2\"\"\"\n";
        let read = Salts::parse("names.csv", text).expect("names");
        let wanted = [("ada".to_owned(), "s1".to_owned()), ("bob, jr".to_owned(), "s \"2\"".to_owned())];
        assert_eq!(read.rows, wanted.into());
        let refused = Salts::parse("names.csv", "../x,s\nada\nbob,1\nbob,2\n").expect_err("wrong");
        assert_eq!(refused.problems().count(), 3);
    }

    #[test]
    fn no_two_names_are_shown_alike() {
        let names = ["a\nb", "a\\nb", "a b", "a\u{202e}b", "a\\u{202e}b"].map(|name| shown(OsStr::new(name)));
        assert_eq!(names, ["a\\nb", "a\\\\nb", "a b", "a\\u{202e}b", "a\\\\u{202e}b"]);
    }

    #[test]
    fn an_archive_has_a_stem() {
        let stems = ["ada.ZIP", "bob.tar.gz", "eve.tgz", "notes.txt"].map(stem);
        assert_eq!(stems, [Some("ada"), Some("bob"), Some("eve"), None]);
    }
}
