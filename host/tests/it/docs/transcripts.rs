//! Every console block of the book and of README.md is run, and what it shows is what is printed.
//!
//! The blocks of a page run in order in one folder, which has `topologies/`, `docs/` and the program on its
//! path. A TOML example that begins with `# NAME.toml` is a file there, SQL that begins with `-- NAME.sql`
//! as well, and TOML that begins with `# Add to NAME.toml` is added to its file. A line `…` stands for
//! lines that are left out, and `…` within a line for any text. A command that shows nothing has to
//! succeed, and runs for two simulated seconds where the page has minutes. Marks of a fence: `no-run` for
//! what needs a browser, another terminal, a container or a compiler; `needs-TOOL` for what is run where
//! TOOL is installed.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use super::{Block, blocks, root, text};
use crate::support::{METRICS, Topology, at_once, finish, simhost};

/// How many blocks may have the mark `no-run`: it is an exception.
const NOT_RUN: usize = 38;

/// A command of a block, and what it shows below.
struct Step {
    command: String,
    shown: Vec<String>,
}

impl Step {
    fn fails(&self) -> bool {
        // The last one is of a lab that is not solved.
        let is_failure = |line: &String| {
            line.starts_with("error: ") || line.contains(" × ") || line.starts_with("not yet: ")
        };
        self.shown.iter().any(is_failure)
    }

    /// What is run in its place.
    fn short(&self) -> String {
        if !self.shown.is_empty() {
            return self.command.clone();
        }
        let words = self.command.split(' ').scan("", |before, word| {
            let is_long = *before == "--for" && word.ends_with(['m', 'h']);
            *before = word;
            Some(if is_long { "2s" } else { word })
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

fn steps(block: &Block) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut goes_on = false;
    for line in block.text.lines() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step { command: command.to_owned(), shown: Vec::new() }),
            (None, Some(step)) if goes_on => step.command.extend(["\n", line]),
            (None, Some(step)) => step.shown.push(line.to_owned()),
            (None, None) => panic!("line {}: a block begins with a command", block.line),
        }
        goes_on = line.ends_with('\\');
    }
    steps
}

/// The folder in which a page is played.
struct Stage(tempfile::TempDir);

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        std::fs::create_dir(path.join("bin")).expect("a folder");
        let program = env!("CARGO_BIN_EXE_simhost");
        std::os::unix::fs::symlink(program, path.join("bin/simhost")).expect("a link");
        for name in ["topologies", "docs"] {
            std::os::unix::fs::symlink(root().join(name), path.join(name)).expect("a link");
        }
        Self(folder)
    }

    fn write(&self, example: &str) {
        let first = example.lines().next().unwrap_or_default();
        let named = |prefix, ending| {
            let rest: &str = first.strip_prefix(prefix)?;
            let (name, _) = rest.split_once(ending)?;
            let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
            is_name.then(|| self.0.path().join(format!("{name}{ending}")))
        };
        if let Some(path) = named("# Add to ", ".toml") {
            let whole = std::fs::read_to_string(&path).expect("a file to add to") + example;
            std::fs::write(path, whole).expect("a file");
        } else if let Some(path) = named("# ", ".toml").or_else(|| named("-- ", ".sql")) {
            std::fs::write(path, example).expect("a file");
        }
    }

    /// Says what is not as it is shown.
    fn play(&self, step: &Step) -> Option<String> {
        let mut path = OsString::from(self.0.path().join("bin"));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut shell = Command::new("/bin/sh");
        let mut program = simhost();
        // As readers have it: with metrics.
        program.env_remove(METRICS);
        shell.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.env("PATH", path).current_dir(self.0.path()).args(["-c", &step.short()]);
        shell.stdin(std::process::Stdio::null());
        let finished = finish(&mut shell);
        if (finished.code == Some(0)) == step.fails() {
            return Some(format!("its exit code is {:?}\n{}", finished.code, finished.stderr));
        }
        let mut said = finished.stdout;
        if step.fails() {
            said.push_str(&finished.stderr);
        }
        difference(&said, &step.shown).map(|line| format!("it does not print\n{line}\nbut\n{said}"))
    }
}

/// The first line that is shown and not printed in its place.
fn difference(said: &str, shown: &[String]) -> Option<String> {
    let said: Vec<_> = said.lines().collect();
    let (mut at, mut may_skip) = (0, shown.is_empty());
    for line in shown {
        if line == "…" {
            may_skip = true;
            continue;
        }
        let within = if may_skip { said.len() } else { (at + 1).min(said.len()) };
        let Some(found) = (at..within).find(|at| is_shown(said[*at], line)) else {
            return Some(line.clone());
        };
        (at, may_skip) = (found + 1, false);
    }
    (!may_skip && at < said.len()).then(|| format!("(the end, before {:?})", said[at]))
}

/// `…` stands for any text.
fn is_shown(said: &str, shown: &str) -> bool {
    let said = said.trim_end();
    if said == shown {
        return true;
    }
    let mut parts = shown.split('…');
    let Some(mut rest) = said.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    for part in parts {
        match rest.find(part) {
            Some(_) if part.is_empty() => rest = "",
            Some(found) => rest = &rest[found + part.len()..],
            None => return false,
        }
    }
    shown.contains('…') && rest.is_empty()
}

fn is_installed(tool: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(tool).is_file())
}

/// The words behind `console`, or none where the block is no transcript.
fn marks(block: &Block) -> Option<Vec<&str>> {
    let mut words = block.language.split(',');
    (words.next() == Some("console")).then(|| words.collect())
}

/// Plays a page; what is not as it shows.
fn play(page: &str) -> Vec<String> {
    let stage = Stage::new();
    let mut wrong = Vec::new();
    for block in blocks(&text(page)) {
        if ["toml", "sql"].contains(&block.language.as_str()) {
            stage.write(&block.text);
        }
        let Some(marks) = marks(&block) else { continue };
        let is_run = marks.iter().all(|mark| match mark.strip_prefix("needs-") {
            Some(tool) => is_installed(tool),
            None if *mark == "no-run" => false,
            None => panic!("{page}:{}: the mark {mark} has no meaning", block.line),
        });
        if is_run {
            let played = steps(&block).into_iter().filter_map(|step| {
                let problem = stage.play(&step)?;
                Some(format!("{page}:{}: $ {}\n{problem}", block.line, step.command))
            });
            wrong.extend(played);
        }
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
