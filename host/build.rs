//! Embeds the labs: a table of their files, by the names of their folders.
//!
//! A package of the crate has the files below `assets/labs`; in the repository that is a link to `labs/`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Why writing into a `String` is expected to succeed.
const INFALLIBLE: &str = "a String takes every write";

fn main() {
    let assets = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("assets/labs");
    let mut table = "pub(super) static FILES: &[(&str, Files)] = &[\n".to_owned();
    for (folder, name) in entries(&assets).into_iter().filter(|(path, _)| path.join("lab.toml").is_file()) {
        let mut files = Vec::new();
        collect(&folder, "", &mut files);
        writeln!(table, "    ({name:?}, &[").expect(INFALLIBLE);
        for (path, name) in files {
            let path = path.to_str().expect("a path in the repository is UTF-8");
            writeln!(table, "        ({name:?}, include_bytes!({path:?})),").expect(INFALLIBLE);
        }
        table.push_str("    ]),\n");
    }
    table.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("labs.rs"), table).expect("the table is written");
}

/// All files below a folder, each with its name from `prefix` on, with `/`. What only the authors of labs
/// need is left out: wrong answers, and what the sources of a solution give when they are built.
fn collect(folder: &Path, prefix: &str, files: &mut Vec<(PathBuf, String)>) {
    for (path, name) in entries(folder) {
        let is_left_out = prefix.is_empty() && name == "wrong"
            || prefix.starts_with("solution/") && name.ends_with(".wasm");
        if is_left_out {
            continue;
        }
        if path.is_dir() {
            collect(&path, &format!("{prefix}{name}/"), files);
        } else {
            files.push((path, format!("{prefix}{name}")));
        }
    }
}

/// What a folder has, in the order of the names, without what is hidden or built.
fn entries(folder: &Path) -> Vec<(PathBuf, String)> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a folder can be read"))
        .map(|entry| (entry.path(), entry.file_name().into_string().expect("a name is UTF-8")))
        .filter(|(_, name)| !name.starts_with('.') && name != "target")
        .collect();
    found.sort();
    found
}
