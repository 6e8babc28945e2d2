//! Files that use one another in a circle: none of them can be understood before the others.
//!
//! The modules of one folder are compared, each with all that is below it. A parent and its children may use
//! one another: they are one module in several files. An import of what a parent passes on
//! (`pub use child::Name`) is an import of the child.

use std::collections::{BTreeMap, BTreeSet};

/// The path of a module in its crate: `["bus", "caller", "call"]`.
type Path = Vec<String>;

/// The circles among these files of a crate, given as `(path below src, code without comments and strings)`.
pub fn circles(files: &[(&str, String)]) -> Vec<String> {
    let modules: BTreeMap<Path, Vec<Used>> = files
        .iter()
        .filter(|(path, _)| !["lib.rs", "main.rs"].contains(path) && !path.ends_with("tests.rs"))
        .map(|(path, code)| (steps(path.trim_end_matches(".rs"), "/"), used(without_tests(code))))
        .collect();
    let crate_of = Crate::new(modules);
    let folders: BTreeSet<&[String]> = crate_of.modules.keys().map(|path| &path[..path.len() - 1]).collect();
    folders.into_iter().flat_map(|folder| crate_of.circles_in(folder)).collect()
}

/// A path that a file uses, and the name that it has there.
struct Used {
    path: Path,
    name: String,
}

struct Crate {
    modules: BTreeMap<Path, Vec<Used>>,
    /// What a name in a module stands for.
    names: BTreeMap<(Path, String), Path>,
}

impl Crate {
    fn new(modules: BTreeMap<Path, Vec<Used>>) -> Self {
        let mut all = Self { modules, names: BTreeMap::new() };
        let mut names = BTreeMap::new();
        for (module, used) in &all.modules {
            for Used { path, name } in used {
                if let Some(path) = all.absolute(module, path) {
                    names.entry((module.clone(), name.clone())).or_insert(path);
                }
            }
        }
        all.names = names;
        all
    }

    /// A path from the root of the crate; none of another crate.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Path> {
        let up = path.iter().take_while(|step| *step == "super").count();
        match path.first()?.as_str() {
            "crate" => Some(path[1..].to_vec()),
            "self" => Some([module, &path[1..]].concat()),
            "super" => Some([&module[..module.len().checked_sub(up)?], &path[up..]].concat()),
            child => {
                let is_child = self.modules.contains_key(&[module, &[child.to_owned()]].concat());
                is_child.then(|| [module, path].concat())
            }
        }
    }

    /// The module in which an item is declared, also where others pass it on.
    fn home(&self, path: &[String]) -> Option<Path> {
        let mut path = path.to_vec();
        // A name stands for another one this often at most.
        for _ in 0..8 {
            let length = (1..=path.len()).rev().find(|length| self.modules.contains_key(&path[..*length]))?;
            let home = path[..length].to_vec();
            let Some(name) = path.get(length) else { return Some(home) };
            let Some(other) = self.names.get(&(home.clone(), name.clone())) else { return Some(home) };
            path = [other, &path[length + 1..]].concat();
        }
        None
    }

    /// The circles among the modules of a folder.
    fn circles_in(&self, folder: &[String]) -> Vec<String> {
        let depth = folder.len();
        let of =
            |path: &[String]| (path.len() > depth && path.starts_with(folder)).then(|| path[depth].clone());
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (module, used) in &self.modules {
            let Some(from) = of(module) else { continue };
            let homes = used.iter().filter_map(|used| self.home(&self.absolute(module, &used.path)?));
            let others = homes.filter_map(|home| of(&home)).filter(|to| *to != from);
            uses.entry(from.clone()).or_default().extend(others);
        }
        let mut found = Vec::new();
        let mut known = BTreeSet::new();
        for start in uses.keys() {
            if let Some(circle) = way_back(start, &uses).filter(|_| !known.contains(start)) {
                known.extend(circle.iter().cloned());
                found.push(format!("{}: {}", folder.join("/"), circle.join(" -> ")));
            }
        }
        found
    }
}

/// The shortest way from a module over others back to itself.
fn way_back(start: &String, uses: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    let mut ways = vec![vec![start.clone()]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in uses.get(way.last()?).into_iter().flatten() {
                let way: Vec<String> = way.iter().chain([next]).cloned().collect();
                if next == start {
                    return Some(way);
                }
                if seen.insert(next.clone()) {
                    longer.push(way);
                }
            }
        }
        ways = longer;
    }
    None
}

fn steps(path: &str, between: &str) -> Path {
    path.split(between).map(|step| step.trim().to_owned()).filter(|step| !step.is_empty()).collect()
}

/// The code before a file's own tests.
fn without_tests(code: &str) -> &str {
    code.split("#[cfg(test)]\nmod tests {").next().unwrap_or(code)
}

/// What a file imports, and the paths that it names outside of imports.
fn used(code: &str) -> Vec<Used> {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    let begins = |at: usize| !code[..at].ends_with(|c: char| is_letter(c) || c == ':');
    let mut used = Vec::new();
    for (at, word) in code.match_indices("use ").filter(|(at, _)| begins(*at)) {
        let tree = code[at + word.len()..].split(';').next().unwrap_or_default();
        expand(&[], tree, &mut used);
    }
    for root in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(root).filter(|(at, _)| begins(*at)) {
            let path = code[at..].split(|c: char| !is_letter(c) && c != ':').next().unwrap_or_default();
            used.push(Used { path: steps(path, "::"), name: String::new() });
        }
    }
    used
}

/// The paths of an import: `a::{b, c::D as E}`.
fn expand(above: &[String], tree: &str, used: &mut Vec<Used>) {
    let mut depth = 0;
    let parts = tree.split(|c: char| {
        depth += match c {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        c == ',' && depth == 0
    });
    for part in parts.map(str::trim).filter(|part| !part.is_empty()) {
        if let Some((path, group)) = part.split_once('{') {
            let group = group.rsplit_once('}').map_or(group, |(group, _)| group);
            expand(&[above, &steps(path, "::")].concat(), group, used);
            continue;
        }
        let (path, alias) = part.split_once(" as ").unwrap_or((part, ""));
        let path = [above, &steps(path, "::")].concat();
        // `bus::{self, …}` is the module itself.
        let path = if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path[..path.len() - 1].to_vec()
        } else {
            path
        };
        let name = if alias.is_empty() { path.last().cloned().unwrap_or_default() } else { alias.to_owned() };
        used.push(Used { path, name });
    }
}

mod rule {
    use super::circles;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        circles(&files.iter().map(|(path, code)| (*path, (*code).to_owned())).collect::<Vec<_>>())
    }

    #[test]
    fn two_files_that_import_each_other_are_found_however_that_is_written() {
        for (one, other) in [
            ("use super::b::B;", "use super::a::A;"),
            ("use super::{\n    b::{B, C},\n    c,\n};", "use crate::x::{a::{self, A}, c};"),
            ("fn f(b: &super::b::B) {}", "use crate::x::a as other;"),
        ] {
            let files = [("x.rs", "mod a;\nmod b;"), ("x/a.rs", one), ("x/b.rs", other)];
            assert_eq!(found(&files), ["x: a -> b -> a"], "{one}");
        }
    }

    #[test]
    fn a_circle_of_three_is_found_once_and_also_through_files_below() {
        let files = [
            ("x/a.rs", "use super::b::B;"),
            ("x/b.rs", "mod deep;"),
            ("x/b/deep.rs", "use super::super::c::C;"),
            ("x/c.rs", "use super::a::A;"),
        ];
        assert_eq!(found(&files), ["x: a -> b -> c -> a"]);
    }

    #[test]
    fn what_a_parent_passes_on_is_its_childs_and_what_it_declares_is_not() {
        let parent = ("x.rs", "mod a;\nmod b;\npub use b::{B, C as D};\npub struct Own;");
        let through = |used: &str| {
            let a = format!("use super::{used};");
            found(&[parent, ("x/a.rs", &a), ("x/b.rs", "use super::a::A;")])
        };
        assert_eq!(through("B"), ["x: a -> b -> a"]);
        assert_eq!(through("D"), ["x: a -> b -> a"]);
        assert!(through("Own").is_empty());
    }

    #[test]
    fn one_way_a_parent_tests_and_other_crates_are_no_circle() {
        let files = [
            ("x.rs", "mod a;\nmod b;\nuse a::A;\nuse b::B;"),
            ("x/a.rs", "use std::rc::Rc;\nuse super::Own;\nuse super::b::B;"),
            ("x/b.rs", "fn f() {}\n\n#[cfg(test)]\nmod tests {\n    use super::super::a::A;\n}"),
            ("x/b/tests.rs", "use super::super::a::A;"),
        ];
        assert!(found(&files).is_empty());
    }
}
