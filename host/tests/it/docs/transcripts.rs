//! Every console block of the book and of README.md is run, and what it shows is what is printed.
//!
//! The blocks of a page run in order in one folder, which has `topologies/`, `docs/` and the program on its
//! path. A TOML example that begins with `# NAME.toml` is a file there, SQL that begins with `-- NAME.sql`
//! as well, and TOML that begins with `# Add to NAME.toml` is added to its file. A line `…` stands for
//! lines that are left out, and `…` within a line for any text. A command that shows nothing has to
//! succeed, and runs for two simulated seconds where the page has minutes. Marks of a fence: `no-run` for
//! what needs a browser, another terminal, a container or a compiler; `serve` where the first command
//! listens and the others send it requests ([`served`]); `collector` for what
//! `crate::collector::book` runs with a built Collector; `needs-TOOL` for what is run where TOOL is
//! installed.

use std::path::Path;

use super::stage::{Stage, Step, difference, is_shown, marks, steps};
use super::{Block, blocks, root, served, text};
use crate::support::{Topology, at_once, finish, simhost};

/// How many blocks may have the mark `no-run`: it is an exception.
const NOT_RUN: usize = 29;

fn is_installed(tool: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(tool).is_file())
}

/// Whether this machine runs a block here.
fn is_run(page: &str, block: &Block, marks: &[&str]) -> bool {
    marks.iter().all(|mark| match mark.strip_prefix("needs-") {
        Some(tool) => is_installed(tool),
        None if *mark == "serve" => true,
        None if ["no-run", "collector"].contains(mark) => false,
        None => panic!("{page}:{}: the mark {mark} has no meaning", block.line),
    })
}

/// Plays a page; what is not as it shows.
fn play(page: &str) -> Vec<String> {
    let stage = Stage::new();
    let mut wrong = Vec::new();
    for block in blocks(&text(page)) {
        stage.write(&block);
        let Some(marks) = marks(&block) else { continue };
        if !is_run(page, &block, &marks) {
            continue;
        }
        let steps = steps(&block);
        let problems: Vec<_> = if marks.contains(&"serve") {
            served::play(&stage, &steps)
        } else {
            steps.iter().filter_map(|step| Some((&step.command, stage.play(step)?))).collect()
        };
        let line = block.line;
        let told = problems.iter().map(|(command, problem)| format!("{page}:{line}: $ {command}\n{problem}"));
        wrong.extend(told);
    }
    wrong
}

/// Every page below a folder of the repository, by its path from the root.
pub fn pages(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(root().join(folder)).expect("a folder");
    for entry in entries {
        let entry = entry.expect("an entry");
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            found.extend(pages(&path));
        } else if Path::new(&path).extension().is_some_and(|end| end == "md") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn hold(pages: &[String]) {
    assert!(!pages.is_empty(), "there are no pages");
    let wrong: Vec<_> = at_once(pages, |page| play(page)).into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn the_readme_shows_what_is_printed() {
    hold(&["README.md".to_owned()]);
}

#[test]
fn the_tutorial_shows_what_is_printed() {
    hold(&pages("docs/tutorial"));
}

#[test]
fn the_pages_of_the_systems_show_what_is_printed() {
    hold(&pages("docs/systems"));
}

#[test]
fn the_guides_show_what_is_printed() {
    hold(&pages("docs/guides"));
}

#[test]
fn the_reference_and_the_concepts_show_what_is_printed() {
    hold(&[pages("docs/reference"), pages("docs/concepts"), pages("docs/decisions")].concat());
}

/// Requests that meet no route teach nothing: `check --strict` refuses them.
#[test]
fn the_loads_of_the_guide_meet_routes_of_orders() {
    let orders = text("topologies/orders.toml");
    let (system, _) = orders.split_once("[[load]]").expect("a load");
    let page = text("docs/guides/load.md");
    let all = blocks(&page);
    let loads: Vec<_> = all.iter().filter(|block| block.text.starts_with("[[load]]")).collect();
    assert!(loads.len() >= 2, "{} examples", loads.len());
    for load in loads {
        let topology = Topology::new("orders", format!("{system}{}", load.text));
        let checked = finish(simhost().arg("check").arg(topology.path()).arg("--strict"));
        assert_eq!(checked.code, Some(0), "docs/guides/load.md:{}: {}", load.line, checked.stderr);
    }
}

#[test]
fn blocks_that_are_not_run_are_few() {
    let pages = [pages("docs"), vec!["README.md".to_owned()]].concat();
    let of_page = |page: &String| {
        let text = text(page);
        let blocks = blocks(&text);
        let all: Vec<_> = blocks.iter().filter_map(marks).collect();
        (all.len(), all.iter().filter(|marks| marks.contains(&"no-run")).count())
    };
    let counts = pages.iter().map(of_page);
    let (all, skipped) = counts.fold((0, 0), |(all, skipped), (more, not)| (all + more, skipped + not));
    assert!(all > 60, "there are {all} blocks");
    assert!(skipped <= NOT_RUN, "{skipped} of {all} blocks have the mark no-run, more than {NOT_RUN}");
}

#[test]
fn a_transcript_is_compared_line_by_line() {
    let shown = |lines: &[&str]| lines.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(difference("a\nb\nc\n", &shown(&["a", "…"])), None);
    assert_eq!(difference("a\nb\nc\n", &shown(&["…", "c"])), None);
    assert_eq!(difference("a\nb\nc\n", &shown(&["a", "…", "c"])), None);
    assert_eq!(difference("a\nb\nc\n", &[]), None);
    assert_eq!(difference("a\nb\nc\n", &shown(&["a", "c"])), Some("c".to_owned()));
    assert_eq!(difference("a\nb\nc\n", &shown(&["b", "…"])), Some("b".to_owned()));
    assert!(difference("a\nb\nc\n", &shown(&["a", "b"])).is_some());
    assert!(
        is_shown("digest: 12", "digest: …")
            && is_shown("a…b", "a…b")
            && is_shown("in 1ms flat", "in …ms flat")
    );
    assert!(!is_shown("digest 12", "digest: …") && !is_shown("ab", "a") && !is_shown("in 1ms", "in …s flat"));
}

#[test]
fn minutes_are_run_only_where_their_outcome_is_shown() {
    let block = |text: &str| Block {
        line: 1,
        heading: String::new(),
        language: "console".to_owned(),
        text: text.to_owned(),
    };
    let of = |text: &str| steps(&block(text)).iter().map(Step::short).collect::<Vec<_>>();
    assert_eq!(of("$ simhost run a.toml --for 10m\n"), ["simhost run a.toml --for 2s"]);
    assert_eq!(of("$ simhost run a.toml --for 10m\nits outcome\n"), ["simhost run a.toml --for 10m"]);
    assert_eq!(of("$ one \\\n    two\n$ three\n"), ["one \\\n    two", "three"]);
}
