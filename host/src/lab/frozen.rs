//! What a student may not change: the topology is compared by what it means, not by how it is written.

use std::path::Path;

use toml::{Table, Value};

use crate::model::Model;
use crate::topology::{self, Topology};

/// Characters of a value in a message.
const SHOWN: usize = 60;

/// Something that was changed and may not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// `services.stock-db.workers`.
    pub path: String,
    /// As the file would have it; none where it was not there.
    pub from: Option<String>,
    pub to: Option<String>,
}

/// One value that differs between two documents.
struct Difference {
    path: Vec<String>,
    from: Option<Value>,
    to: Option<Value>,
}

/// The first change that is not allowed. `except` are paths that are free with all below them. Guests and
/// other files of both begin at `folder`.
pub fn violation(
    starter: &Topology,
    student: &Topology,
    folder: &Path,
    guests: &[&str],
    except: &[String],
) -> Option<Violation> {
    let read = |topology: &Topology| topology.text.parse::<Table>().ok();
    let (from, to) = (read(starter)?, read(student)?);
    let mut differences = Vec::new();
    tables(&from, &to, &mut Vec::new(), &mut differences);
    let meaning = |model: &Model| model.clone().without_places();
    let was = starter_in(&from, folder, guests).map(|model| meaning(&model));
    let is_free = |path: &[String]| except.iter().any(|pattern| is_below(path, pattern));
    let mut changed = differences.into_iter().filter(|difference| {
        // What means the same may be written as one likes.
        let changes = |was: &Model| {
            let mut with = from.clone();
            set(&mut with, &difference.path, difference.to.clone());
            starter_in(&with, folder, guests).is_none_or(|model| meaning(&model) != *was)
        };
        !is_free(&difference.path) && was.as_ref().is_none_or(changes)
    });
    let Difference { path, from, to } = changed.next()?;
    let shown = |value: Option<Value>| value.map(|value| clip(&value.to_string()));
    Some(Violation { path: path.join("."), from: shown(from), to: shown(to) })
}

/// The model of a document; none if it is no topology.
fn starter_in(document: &Table, folder: &Path, guests: &[&str]) -> Option<Model> {
    let text = toml::to_string(document).ok()?;
    topology::parse("topology.toml", &text, folder, guests).ok().map(|topology| topology.model)
}

fn clip(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Whether a path begins as a pattern says, whose steps are between dots.
fn is_below(path: &[String], pattern: &str) -> bool {
    let mut steps = path.iter();
    pattern.split('.').all(|wanted| steps.next().is_some_and(|step| wanted == "*" || wanted == step))
}

fn tables(from: &Table, to: &Table, path: &mut Vec<String>, found: &mut Vec<Difference>) {
    let added = to.keys().filter(|key| !from.contains_key(*key));
    for key in from.keys().chain(added) {
        path.push(key.clone());
        values(from.get(key), to.get(key), path, found);
        path.pop();
    }
}

fn values(from: Option<&Value>, to: Option<&Value>, path: &mut Vec<String>, found: &mut Vec<Difference>) {
    match (from, to) {
        (Some(Value::Table(from)), Some(Value::Table(to))) => tables(from, to, path, found),
        // The keys of a new table may be free one by one.
        (Some(Value::Table(from)), None) if !from.is_empty() => tables(from, &Table::new(), path, found),
        (None, Some(Value::Table(to))) if !to.is_empty() => tables(&Table::new(), to, path, found),
        (Some(Value::Array(from)), Some(Value::Array(to))) if is_of_tables(from) && is_of_tables(to) => {
            lists(from, to, path, found);
        }
        (from, to) if from != to => {
            found.push(Difference { path: path.clone(), from: from.cloned(), to: to.cloned() });
        }
        _ => {}
    }
}

fn is_of_tables(list: &[Value]) -> bool {
    list.iter().all(Value::is_table)
}

/// Tables of a list are told apart by their names.
fn lists(from: &[Value], to: &[Value], path: &mut Vec<String>, found: &mut Vec<Difference>) {
    let (was, is) = (names(from), names(to));
    let common = |names: &[String], others: &[String]| -> Vec<String> {
        names.iter().filter(|name| others.contains(name)).cloned().collect()
    };
    if common(&was, &is) != common(&is, &was) {
        // Which of two applies first depends on their order.
        let [from, to] = [from, to].map(|list| Some(Value::Array(list.to_vec())));
        found.push(Difference { path: path.clone(), from, to });
        return;
    }
    let added = is.iter().filter(|name| !was.contains(name));
    for name in was.iter().chain(added) {
        let find = |names: &[String], list: &[Value]| {
            names.iter().position(|other| other == name).and_then(|at| list.get(at).cloned())
        };
        path.push(name.clone());
        match (find(&was, from), find(&is, to)) {
            (Some(from), Some(to)) => values(Some(&from), Some(&to), path, found),
            (from, to) => found.push(Difference { path: path.clone(), from, to }),
        }
        path.pop();
    }
}

/// What each table of a list is called: `checkout -> inventory`, its name, or its number.
fn names(list: &[Value]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (index, table) in list.iter().enumerate() {
        let text = |key: &str| table.get(key).and_then(Value::as_str);
        let name = match (text("name"), text("from"), text("to")) {
            (Some(name), ..) => name.to_owned(),
            (None, Some(from), Some(to)) => format!("{from} -> {to}"),
            _ => index.to_string(),
        };
        let name = if names.contains(&name) { index.to_string() } else { name };
        names.push(name);
    }
    names
}

/// Puts a value to a path, or removes what is there.
fn set(document: &mut Table, path: &[String], value: Option<Value>) {
    let Some((last, steps)) = path.split_last() else { return };
    let mut at = &mut *document;
    for (index, step) in steps.iter().enumerate() {
        let entry = at.entry(step.clone()).or_insert_with(|| Value::Table(Table::new()));
        match entry {
            Value::Table(table) => at = table,
            Value::Array(list) => {
                let Some(name) = path.get(index + 1) else { return };
                let Some(found) = names(list).iter().position(|other| other == name) else {
                    // Only a whole table is added or removed, which is the last step.
                    return list.extend(value);
                };
                if index + 2 == path.len() {
                    match value {
                        Some(value) => list[found] = value,
                        None => drop(list.remove(found)),
                    }
                    return;
                }
                if let Value::Table(table) = &mut list[found] {
                    set(table, &path[index + 2..], value);
                }
                return;
            }
            _ => return,
        }
    }
    match value {
        Some(value) => drop(at.insert(last.clone(), value)),
        None => drop(at.remove(last)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EMBEDDED;

    const STARTER: &str = r#"
[topology]
name = "t"
[services.a]
guest = "service"
workers = 2
config.go = { route = "GET /a", calls = "b/b" }
[services.b]
guest = "service"
config.go = { route = "GET /b" }
[[links]]
from = "a"
to = "b"
timeout = "1s"
[[load]]
name = "users"
to = "a"
request = { path = "/a" }
arrivals = { poisson = "5/s" }
"#;

    fn read(text: &str) -> Topology {
        topology::parse("t.toml", text, Path::new(""), &["service"])
            .unwrap_or_else(|refused| panic!("{:?}", refused.problems().collect::<Vec<_>>()))
    }

    fn changed(change: (&str, &str), except: &[&str]) -> Option<Violation> {
        let (starter, student) = (read(STARTER), STARTER.replace(change.0, change.1));
        assert_ne!(student, STARTER, "{change:?}");
        let except: Vec<_> = except.iter().map(|path| (*path).to_owned()).collect();
        violation(&starter, &read(&student), Path::new(""), &["service"], &except)
    }

    #[test]
    fn what_means_the_same_is_no_change() {
        for same in [
            ("timeout = \"1s\"", "timeout = \"1000ms\" # the same"),
            ("\"5/s\"", "\"300/m\""),
            ("[services.b]\n", "\n\n[services.b]\nworkers = 16\nreplicas = 1\n"),
            ("[topology]\n", "# a comment\n[topology]\nseed = 0\n"),
        ] {
            assert_eq!(changed(same, &[]), None, "{same:?}");
        }
    }

    #[test]
    fn where_a_topology_says_something_means_nothing() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../topologies");
        let mut compared = 0;
        for folder in ["", "faults", "incidents"] {
            let folder = root.join(folder);
            for entry in std::fs::read_dir(&folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.extension().is_none_or(|extension| extension != "toml") {
                    continue;
                }
                let text = std::fs::read_to_string(&path).expect("a topology");
                let guests = EMBEDDED.map(|(name, _)| name);
                let model = |text: &str| {
                    let read = topology::parse("t.toml", text, &folder, &guests).map(|read| read.model);
                    read.unwrap_or_else(|refused| panic!("{path:?}: {refused}"))
                };
                let (one, other) = (model(&text), model(&format!("# moved\n\n{text}")));
                assert!(one != other && one.without_places() == other.without_places(), "{path:?}");
                compared += 1;
            }
        }
        assert!(compared > 50, "{compared}");
    }

    #[test]
    fn a_change_is_named_with_what_was_there() {
        let found = changed(("workers = 2", "workers = 9"), &["links.*.timeout"]).expect("a change");
        let (from, to) = (Some("2".to_owned()), Some("9".to_owned()));
        assert_eq!(found, Violation { path: "services.a.workers".to_owned(), from, to });
        let found = changed(("\"1s\"", "\"2s\""), &["links.*.retry"]).expect("a change");
        assert_eq!(found.path, "links.a -> b.timeout");
        let fault = "[[faults]]\nname = \"x\"\nkind = \"crash\"\ntarget = { service = \"a\" }\n[[load]]";
        let found = changed(("[[load]]", fault), &["links"]).expect("a change");
        assert_eq!((found.path.as_str(), found.from), ("faults", None));
    }

    #[test]
    fn what_is_free_may_be_changed_with_all_below_it() {
        assert_eq!(changed(("\"1s\"", "\"2s\""), &["links.*.timeout"]), None);
        assert_eq!(changed(("\"1s\"", "\"2s\"\nretry = { attempts = 2 }"), &["links.*"]), None);
        assert_eq!(changed(("workers = 2", "workers = 9"), &["services.a"]), None);
        assert_eq!(
            changed(("[[links]]\nfrom = \"a\"\nto = \"b\"\ntimeout = \"1s\"\n", ""), &["links"]),
            None
        );
        assert!(changed(("workers = 2", "workers = 9"), &["services.b"]).is_some());
    }
}
