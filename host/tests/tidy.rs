//! The house rules, as tests: what a reviewer should not have to look for.
//!
//! Every rule is a function from text to findings, and is tried on bad input
//! below. Words that a rule forbids are put together from halves here, so that
//! this file keeps the rules too.

#[path = "tidy/circles.rs"]
mod circles;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Lines of a file under `host/src` and `sql/src`, and of a function in it.
const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 100;

/// Columns of a line of Rust: `max_width` of rustfmt.toml, for comments too. What
/// a string holds does not count, as rustfmt breaks none.
const COLUMNS: usize = 110;

/// Those of a guest: its comments were written wider, and where a line stands is
/// part of the component that is committed.
const GUEST_COLUMNS: usize = 120;

/// What each module may import, from the bottom up: a module is named below
/// those that it uses, so nothing can go round in circles.
const LAYERS: &[(&str, &[&str])] = &[
    ("look", &[]),
    ("model", &[]),
    ("message", &[]),
    ("files", &[]),
    ("error", &["look", "model"]),
    ("clock", &["model"]),
    ("rng", &["model"]),
    ("context", &["message"]),
    ("tally", &["model", "context"]),
    ("graph", &["error"]),
    ("topology", &["model", "message", "files", "error", "clock"]),
    ("generate", &["model", "error", "clock", "rng", "topology"]),
    ("sched", &["model", "clock"]),
    ("process", &["model", "clock", "sched"]),
    ("database", &["model", "files", "error", "clock", "rng", "tally", "sched", "process"]),
    ("telemetry", &["look", "model", "files", "error", "clock", "rng", "context"]),
    ("metrics", &["model", "clock", "rng", "context", "database", "telemetry"]),
    ("topic", &["model", "message", "error", "rng", "context", "tally", "telemetry", "metrics"]),
    ("cache", &["model", "error", "rng", "sched", "telemetry", "metrics"]),
    ("wasi", &["model", "clock", "rng", "context", "sched", "process", "telemetry"]),
    ("link", &["model", "rng"]),
    ("fault", &["model", "message", "rng", "context", "sched", "topic", "telemetry"]),
    (
        "guest",
        &[
            "model",
            "message",
            "clock",
            "rng",
            "context",
            "sched",
            "process",
            "database",
            "telemetry",
            "topic",
            "cache",
            "metrics",
            "wasi",
        ],
    ),
    ("engine", &["clock", "sched", "telemetry", "wasi", "guest"]),
    (
        "bus",
        &[
            "model",
            "message",
            "error",
            "clock",
            "rng",
            "context",
            "sched",
            "process",
            "tally",
            "telemetry",
            "metrics",
            "link",
            "fault",
            "topic",
            "cache",
            "guest",
            "engine",
        ],
    ),
    ("socket", &[]),
    ("control", &["model", "socket"]),
    ("prometheus", &["error", "clock", "telemetry", "metrics", "socket", "control"]),
    ("external", &["message", "socket", "telemetry", "guest", "bus"]),
    ("ingress", &["model", "message", "clock", "context", "socket", "telemetry", "metrics", "bus"]),
    (
        "load",
        &[
            "model",
            "message",
            "error",
            "files",
            "clock",
            "rng",
            "tally",
            "context",
            "topology",
            "sched",
            "telemetry",
            "metrics",
            "topic",
            "fault",
            "guest",
            "bus",
        ],
    ),
    ("jobs", &["model", "rng", "tally", "sched", "bus"]),
    (
        "report",
        &[
            "model",
            "error",
            "clock",
            "tally",
            "database",
            "telemetry",
            "metrics",
            "fault",
            "topic",
            "cache",
            "bus",
            "prometheus",
            "load",
            "jobs",
        ],
    ),
    ("traces", &["model", "error", "context", "tally", "telemetry", "report"]),
    ("metrics_file", &["error", "telemetry", "report", "traces"]),
    ("import", &["model", "error", "clock", "rng", "context", "topology", "telemetry", "report", "traces"]),
    ("truth", &["model", "files", "context", "fault"]),
    ("progress", &["model", "clock", "telemetry", "report"]),
    ("self_telemetry", &["model", "error", "clock", "telemetry", "metrics"]),
    (
        "run",
        &[
            "model",
            "message",
            "error",
            "files",
            "clock",
            "rng",
            "topology",
            "database",
            "topic",
            "cache",
            "sched",
            "socket",
            "process",
            "telemetry",
            "metrics",
            "link",
            "fault",
            "guest",
            "engine",
            "bus",
            "control",
            "prometheus",
            "external",
            "graph",
            "ingress",
            "load",
            "jobs",
            "report",
            "truth",
            "progress",
            "self_telemetry",
        ],
    ),
    (
        "bench",
        &[
            "model",
            "error",
            "files",
            "clock",
            "rng",
            "topology",
            "sched",
            "telemetry",
            "engine",
            "guest",
            "bus",
            "report",
            "run",
        ],
    ),
    (
        "diff",
        &["model", "error", "context", "tally", "topology", "telemetry", "fault", "engine", "report", "run"],
    ),
    (
        "lab",
        &["model", "error", "files", "clock", "context", "topology", "telemetry", "engine", "report", "run"],
    ),
    (
        "cli",
        &[
            "look",
            "model",
            "error",
            "files",
            "clock",
            "graph",
            "topology",
            "database",
            "generate",
            "telemetry",
            "engine",
            "control",
            "report",
            "progress",
            "self_telemetry",
            "traces",
            "metrics_file",
            "import",
            "truth",
            "run",
            "diff",
            "lab",
            "bench",
        ],
    ),
    ("main", &["cli"]),
];

/// Modules of the simulated world: what happens in it is decided in them.
const SIMULATED: [&str; 14] = [
    "model", "message", "rng", "tally", "context", "process", "link", "fault", "wasi", "guest", "bus",
    "load", "jobs", "sched",
];

/// What differs between two processes or machines. Clippy knows the functions that
/// read a clock, draw ambient chance or go by hash order, everywhere; these are the
/// doors that other modules need, and the simulated world has no business with.
const AMBIENT: [&str; 9] = [
    "std::env",
    "std::process",
    "std::thread",
    "tokio::net",
    "tokio::task",
    "tokio::time",
    "SystemTime",
    "TcpListener",
    "TcpStream",
];

/// Three that may: waiting in real time parks a thread, another thread wakes it, and work that takes long has
/// one of its own.
const WAITING: [&str; 3] = ["host/src/sched.rs", "host/src/sched/ready.rs", "host/src/sched/aside.rs"];

/// The one place with an exception from clippy's bans.
const EXCEPTION: &str = concat!("clippy::disallowed_", "methods");

/// What says that something is unfinished.
const UNFINISHED: [&str; 7] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("db", "g!("),
];

/// Folders that belong to a machine, not to a project; the last one for code outside of tests only.
const MACHINE: [&str; 4] =
    [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/t", "mp/")];

/// Tools whose traces do not belong into the files that they touch.
const TOOLS: [&str; 4] =
    [concat!("chat", "gpt"), concat!("cla", "ude"), concat!("code", "ium"), concat!("co", "pilot")];

/// A text file of the repository; the path is relative, with `/`.
struct File {
    path: String,
    text: String,
}

impl File {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn is_host(&self) -> bool {
        self.is_rust() && self.path.starts_with("host/src/")
    }

    /// Code that is held to the lengths.
    fn is_ours(&self) -> bool {
        self.is_host() || (self.is_rust() && self.path.starts_with("sql/src/"))
    }

    fn is_test(&self) -> bool {
        ["/tests/", "/tests.rs", "/benches/"].iter().any(|part| self.path.contains(part))
    }
}

/// Every text file, except what is built or made by a run.
fn files() -> Vec<File> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the repository can be read") {
            let entry = entry.expect("the repository can be read");
            let (path, name) = (entry.path(), entry.file_name());
            if [".git", "target"].iter().any(|skipped| name == *skipped) {
                continue;
            }
            if entry.file_type().expect("an entry has a type").is_dir() {
                folders.push(path);
            } else if path.extension().is_none_or(|kind| kind != "jsonl" && kind != "wasm")
                && let Ok(text) = fs::read_to_string(&path)
            {
                let path =
                    path.strip_prefix(&root).expect("it is in there").to_string_lossy().replace('\\', "/");
                found.push(File { path, text });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn root() -> std::path::PathBuf {
    let host = Path::new(env!("CARGO_MANIFEST_DIR"));
    host.parent().expect("the crate lies in the repository").to_owned()
}

/// Applies a rule, from text to `(line, finding)`, to the files that it is for.
fn hold(which: impl Fn(&File) -> bool, rule: impl Fn(&File) -> Vec<(usize, String)>) {
    let files = files();
    let mut applied = 0;
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| which(file)) {
        applied += 1;
        findings
            .extend(rule(file).into_iter().map(|(line, finding)| format!("{}:{line}: {finding}", file.path)));
    }
    assert!(applied > 0, "the rule met no file at all");
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn files_are_short() {
    hold(File::is_ours, |file| too_many_lines(&file.text, FILE_LINES));
}

#[test]
fn functions_are_short() {
    hold(File::is_ours, |file| long_functions(&file.text, FUNCTION_LINES));
}

#[test]
fn lines_are_short() {
    hold(File::is_rust, |file| {
        let is_guest = ["guests/", "labs/"].iter().any(|folder| file.path.starts_with(folder));
        let most = if is_guest { GUEST_COLUMNS } else { COLUMNS };
        long_lines(&file.text, most)
    });
}

#[test]
fn lines_end_where_their_text_ends() {
    hold(|_| true, |file| trailing_space(&file.text));
}

#[test]
fn the_simulated_world_sees_nothing_of_the_machine() {
    hold(
        |file| file.is_host() && !file.is_test() && SIMULATED.contains(&module(&file.path)),
        |file| {
            let may_wait = WAITING.contains(&file.path.as_str());
            let banned: Vec<_> =
                AMBIENT.into_iter().filter(|word| !(may_wait && *word == "std::thread")).collect();
            ambient(&file.text, &banned)
        },
    );
}

#[test]
fn only_the_clock_has_an_exception_from_the_bans() {
    hold(|file| file.is_host() && module(&file.path) != "clock", |file| mentions(&file.text, &[EXCEPTION]));
    hold(
        |file| file.path == "host/src/clock.rs",
        |file| if file.text.contains(EXCEPTION) { Vec::new() } else { vec![(1, "no exception".to_owned())] },
    );
}

#[test]
fn nothing_is_left_open() {
    hold(|file| !file.path.ends_with(".lock"), |file| mentions(&file.text, &UNFINISHED));
}

#[test]
fn no_path_belongs_to_one_machine() {
    // A container's folders are the same everywhere.
    let container = ["Dockerfile", "docker-compose.yml"];
    hold(
        |file| !container.contains(&file.path.as_str()),
        |file| mentions(&file.text, &MACHINE[..MACHINE.len() - 1]),
    );
    hold(|file| file.is_rust() && !file.is_test(), |file| mentions(&file.text, &MACHINE));
}

#[test]
fn no_tool_has_left_its_name() {
    hold(|_| true, |file| mentions(&file.text.to_lowercase(), &TOOLS));
}

#[test]
fn modules_say_what_they_are_for() {
    hold(
        |file| file.is_rust() && file.path.contains("/src/") && !file.is_test(),
        |file| match file.text.starts_with("//! ") {
            true => Vec::new(),
            false => vec![(1, "a module opens with //! and what it is for".to_owned())],
        },
    );
}

#[test]
fn topologies_say_what_they_show() {
    hold(
        |file| file.path.starts_with("topologies/") && file.path.ends_with(".toml"),
        |file| {
            let name = file.path.rsplit('/').next().expect("a path has a last part");
            no_opening_comment(name, &file.text)
        },
    );
}

#[test]
fn imports_point_one_way() {
    hold(File::is_host, |file| wrong_imports(&file.path, &file.text));
}

#[test]
fn the_table_of_layers_has_no_circle_and_every_module() {
    for (at, (module, uses)) in LAYERS.iter().enumerate() {
        for used in *uses {
            let below = LAYERS[..at].iter().any(|(name, _)| name == used);
            assert!(below, "{module} uses {used}, which is not below it");
        }
    }
    hold(
        |file| file.path == "host/src/lib.rs",
        |file| {
            let missing = declared(&file.text).into_iter().filter(|name| allowed(name).is_none());
            missing.map(|name| (1, format!("the module {name} has no place in LAYERS"))).collect()
        },
    );
}

#[test]
fn no_files_import_one_another_in_a_circle() {
    let files = files();
    let host = files.iter().filter(|file| file.is_host());
    let code: Vec<(&str, String)> = host
        .map(|file| (file.path.trim_start_matches("host/src/"), code_alone(&file.text).into_iter().collect()))
        .collect();
    let found = circles::circles(&code);
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn every_source_file_is_part_of_its_crate() {
    let files = files();
    let declares = |path: &str, name: &str| {
        files.iter().any(|file| file.path == path && declared(&file.text).contains(name))
    };
    hold(
        |file| file.is_rust() && (file.path.contains("/src/") || file.path.starts_with("host/tests/")),
        |file| {
            let Some((name, parents)) = place(&file.path) else { return Vec::new() };
            let is_used = parents.iter().any(|parent| declares(parent, &name));
            if is_used { Vec::new() } else { vec![(1, format!("no file has `mod {name};`"))] }
        },
    );
}

#[test]
fn the_image_is_built_from_every_member_of_the_workspace() {
    let read = |name: &str| std::fs::read_to_string(root().join(name)).expect("a file");
    let (manifest, image, context) = (read("Cargo.toml"), read("Dockerfile"), read(".dockerignore"));
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = [")).expect("members");
    for member in members.trim_end_matches(']').split(", ") {
        let folder = member.trim_matches('"').split('/').next().unwrap_or_default();
        assert!(image.contains(&format!("\nCOPY {folder} {folder}\n")), "Dockerfile does not copy {folder}");
        assert!(context.contains(&format!("\n!{folder}\n")), ".dockerignore leaves out {folder}");
    }
}

#[test]
fn the_code_map_names_every_module() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("there is an ARCHITECTURE.md");
    hold(File::is_host, |file| {
        let path = file.path.trim_start_matches("host/src/");
        let is_there = path.contains('/') || map.contains(&format!("`{path}`"));
        if is_there { Vec::new() } else { vec![(1, "ARCHITECTURE.md does not say what it is".to_owned())] }
    });
}

/// The rows of the code map by module, each with the rows of its parts.
fn map_rows() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("there is an ARCHITECTURE.md");
    let (_, map) = text.split_once("## Code map").expect("a code map");
    let (map, _) = map.split_once("## Invariants").expect("invariants behind it");
    let mut rows: Vec<(String, String)> = Vec::new();
    for line in map.lines() {
        let module = line.strip_prefix("| `").and_then(|rest| Some(rest.split_once(".rs`")?.0.to_owned()));
        match (module, rows.last_mut()) {
            (Some(module), _) => rows.push((module, line.to_owned())),
            (None, Some((_, row))) if line.starts_with("| —") => row.push_str(line),
            _ => {}
        }
    }
    rows
}

/// Of a row that says so, such as `a file for each section`, the names of the files say the rest.
#[test]
fn the_code_map_names_the_files_of_every_module() {
    let rows = map_rows();
    hold(File::is_host, |file| {
        let path = file.path.trim_start_matches("host/src/").trim_end_matches(".rs");
        let Some((module, part)) = path.split_once('/') else { return Vec::new() };
        let row = rows.iter().find(|(name, _)| name == module).map_or("", |(_, row)| row);
        let is_named = part.contains('/')
            || file.is_test()
            || ["file for each", "file per"].iter().any(|words| row.contains(words))
            || [format!("`{part}`"), format!("`{part}/`"), format!("`{part}/…`")]
                .iter()
                .any(|name| row.contains(name));
        if is_named { Vec::new() } else { vec![(1, format!("the row of {module} does not say what it is"))] }
    });
}

#[test]
fn imports_point_down_in_the_code_map() {
    let rows = map_rows();
    let row = |module: &str| rows.iter().position(|(name, _)| name == module);
    let up = LAYERS.iter().flat_map(|(module, uses)| uses.iter().map(move |used| (*module, *used)));
    let up: Vec<_> = up.filter(|(module, used)| row(module) > row(used)).collect();
    assert!(up.is_empty(), "{up:?}");
}

#[test]
fn every_import_that_the_table_of_layers_allows_is_made() {
    let files = files();
    let mut made = BTreeSet::new();
    for file in files.iter().filter(|file| file.is_host()) {
        let code: String = code_alone(&file.text).into_iter().collect();
        let module = module(&file.path).to_owned();
        for prefix in ["crate::", "simhost::", "super::super::", "super::"] {
            made.extend(
                first_names(&code, prefix).into_iter().map(|(_, used)| (module.clone(), used.to_owned())),
            );
        }
    }
    let all = LAYERS.iter().flat_map(|(module, uses)| uses.iter().map(move |used| (*module, *used)));
    let idle: Vec<_> =
        all.filter(|(module, used)| !made.contains(&((*module).to_owned(), (*used).to_owned()))).collect();
    assert!(idle.is_empty(), "{idle:?}");
}

fn too_many_lines(text: &str, most: usize) -> Vec<(usize, String)> {
    let lines = text.lines().count();
    if lines > most { vec![(lines, format!("{lines} lines, more than {most}"))] } else { Vec::new() }
}

fn long_lines(text: &str, most: usize) -> Vec<(usize, String)> {
    let all: Vec<char> = text.chars().collect();
    let code = blank(&all, |opening| matches!(opening, '"' | 'r'));
    let widths = code.split(|c| *c == '\n').map(|line| line.iter().filter(|c| **c != BLANK).count());
    let long = widths.enumerate().filter(|(_, width)| *width > most);
    long.map(|(at, width)| (at + 1, format!("{width} columns, more than {most}"))).collect()
}

fn trailing_space(text: &str) -> Vec<(usize, String)> {
    // lines() would hide a carriage return.
    let lines = text.split('\n').enumerate().filter(|(_, line)| line.ends_with(char::is_whitespace));
    lines.map(|(at, _)| (at + 1, "white space at the end of the line".to_owned())).collect()
}

fn mentions(text: &str, words: &[&str]) -> Vec<(usize, String)> {
    let meets = |line: &str| words.iter().find(|word| has_word(line, word)).map(ToString::to_string);
    numbered(text)
        .filter_map(|(line, text)| Some((line, format!("{:?} does not belong here", meets(text)?))))
        .collect()
}

/// The module that a file of the host belongs to: `bus` of `host/src/bus/call.rs`.
fn module(path: &str) -> &str {
    let path = path.trim_start_matches("host/src/").trim_end_matches(".rs");
    path.split('/').next().expect("a path has a first part")
}

/// Mentions of `banned` in code; comments may speak of them.
fn ambient(text: &str, banned: &[&str]) -> Vec<(usize, String)> {
    let code: Vec<_> = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    mentions(&code.join("\n"), banned)
}

/// Whether `word` stands in `line`, not as a part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let letter = |c: char| c.is_alphanumeric() || c == '_';
    let open =
        |edge: Option<char>, beside: Option<char>| !(edge.is_some_and(letter) && beside.is_some_and(letter));
    line.match_indices(word).any(|(at, _)| {
        open(word.chars().next(), line[..at].chars().next_back())
            && open(word.chars().next_back(), line[at + word.len()..].chars().next())
    })
}

fn no_opening_comment(name: &str, text: &str) -> Vec<(usize, String)> {
    let opening = format!("# {name}: ");
    let says_something = text.lines().next().is_some_and(|line| line.starts_with(&opening));
    if says_something {
        Vec::new()
    } else {
        vec![(1, format!("it opens with {opening:?} and what it shows"))]
    }
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(at, line)| (at + 1, line))
}

/// The functions that are longer than `most` lines, signature and braces included.
fn long_functions(text: &str, most: usize) -> Vec<(usize, String)> {
    let code = code_alone(text);
    let line_of = |at: usize| code[..at].iter().filter(|c| **c == '\n').count() + 1;
    let mut findings = Vec::new();
    for at in 0..code.len() {
        let Some((name, end)) = function_at(&code, at) else { continue };
        let lines = line_of(end) - line_of(at) + 1;
        if lines > most {
            findings.push((line_of(at), format!("fn {name} has {lines} lines, more than {most}")));
        }
    }
    findings
}

/// The name of the function whose keyword is at `at`, and where its body ends.
fn function_at(code: &[char], at: usize) -> Option<(String, usize)> {
    let letter = |c: &char| c.is_alphanumeric() || *c == '_';
    if !code[at..].starts_with(&['f', 'n', ' ']) || (at > 0 && letter(&code[at - 1])) {
        return None;
    }
    let name: String = code[at + 3..].iter().take_while(|c| letter(c)).collect();
    let (mut brackets, mut braces) = (0_i32, 0_i32);
    for (offset, c) in code[at..].iter().enumerate() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            '{' => braces += 1,
            '}' => {
                braces -= 1;
                if braces == 0 {
                    return Some((name, at + offset));
                }
            }
            // A declaration without a body.
            ';' if braces == 0 && brackets == 0 => return None,
            _ => {}
        }
    }
    None
}

/// Stands for what is not code; it is no white space and no letter.
const BLANK: char = '\0';

/// The text with comments, strings and characters blanked out; lines stay lines.
fn code_alone(text: &str) -> Vec<char> {
    blank(&text.chars().collect::<Vec<_>>(), |_| true)
}

/// Blanks out the comments, strings and characters whose first letter is `wanted`.
fn blank(text: &[char], wanted: impl Fn(char) -> bool) -> Vec<char> {
    let mut code = text.to_vec();
    let mut at = 0;
    while at < text.len() {
        let end = opaque(text, at);
        if wanted(text[at]) {
            code[at..end].iter_mut().filter(|c| **c != '\n').for_each(|c| *c = BLANK);
        }
        at = end.max(at + 1);
    }
    code
}

/// Where the comment, string or character ends that begins at `at`; `at` when none does.
fn opaque(code: &[char], at: usize) -> usize {
    let rest = &code[at..];
    let until = |ending: &[char], from: usize| {
        let found = rest[from.min(rest.len())..].windows(ending.len()).position(|part| part == ending);
        found.map_or(code.len(), |found| at + from + found + ending.len())
    };
    match rest {
        ['/', '/', ..] => until(&['\n'], 2) - usize::from(rest.contains(&'\n')),
        ['/', '*', ..] => until(&['*', '/'], 2),
        ['r', '"' | '#', ..] if at == 0 || !code[at - 1].is_alphanumeric() => {
            let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
            if rest.get(1 + hashes) != Some(&'"') {
                return at;
            }
            let ending: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            until(&ending, 2 + hashes)
        }
        ['"', ..] => quoted(rest, '"').map_or(code.len(), |length| at + length),
        ['\'', '\\', ..] => quoted(rest, '\'').map_or(code.len(), |length| at + length),
        // Not a lifetime.
        ['\'', _, '\'', ..] => at + 3,
        _ => at,
    }
}

/// The length of what opens and ends with `mark`, and may hold escaped ones.
fn quoted(text: &[char], mark: char) -> Option<usize> {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            '\\' => at += 2,
            c if c == mark => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

/// Imports of modules that the one at `path` must not know.
fn wrong_imports(path: &str, text: &str) -> Vec<(usize, String)> {
    let inside = path.trim_start_matches("host/src/");
    let module = inside.trim_end_matches(".rs").split('/').next().unwrap_or(inside);
    if module == "lib" {
        return Vec::new();
    }
    let Some(allowed) = allowed(module) else {
        return vec![(1, format!("the module {module} has no place in LAYERS"))];
    };
    let code: String = code_alone(text).into_iter().collect();
    // From a module's own file `super` is the crate, from its parts one more is.
    let above = "super::".repeat(inside.matches('/').count() + 1);
    let mut findings = Vec::new();
    for prefix in ["crate::", "simhost::", &above] {
        for (at, used) in first_names(&code, prefix) {
            let is_module = LAYERS.iter().any(|(name, _)| *name == used);
            if is_module && used != module && !allowed.contains(&used) {
                let line = code[..at].matches('\n').count() + 1;
                findings.push((line, format!("{module} must not know {used}")));
            }
        }
    }
    findings
}

/// `a` and `b` of `crate::a::x` and `crate::{b, …}`, and where they stand.
fn first_names<'a>(code: &'a str, prefix: &str) -> Vec<(usize, &'a str)> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let from = at + prefix.len();
        let Some(group) = code[from..].strip_prefix('{') else {
            names.push((from, first_name(&code[from..])));
            continue;
        };
        let (mut depth, mut starts) = (1, true);
        for (offset, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => starts = true,
                c if starts && !c.is_whitespace() => {
                    names.push((from + 1 + offset, first_name(&group[offset..])));
                    starts = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    names
}

fn first_name(path: &str) -> &str {
    path.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(path)
}

fn allowed(module: &str) -> Option<&'static [&'static str]> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, uses)| *uses)
}

/// The modules in files of their own that a file declares.
fn declared(text: &str) -> BTreeSet<String> {
    let code: String = code_alone(text).into_iter().collect();
    let names = code.lines().filter_map(|line| line.trim().strip_suffix(';')?.rsplit_once("mod "));
    names.map(|(_, name)| name.to_owned()).collect()
}

/// The name of the module at `path`, and the files of which one must declare it; none for
/// the root of a crate.
fn place(path: &str) -> Option<(String, Vec<String>)> {
    let path = path.trim_end_matches("/mod.rs").trim_end_matches(".rs");
    let (folder, name) = path.rsplit_once('/')?;
    let is_root = ["lib", "main"].contains(&name) || folder == "host/tests";
    let parents = ["/lib.rs", "/main.rs", ".rs", "/mod.rs"].map(|file| format!("{folder}{file}"));
    (!is_root).then(|| (name.to_owned(), parents.to_vec()))
}

mod rules {
    use super::*;

    #[test]
    fn a_long_file_is_found() {
        assert!(too_many_lines("a\nb\n", 2).is_empty());
        assert_eq!(too_many_lines("a\nb\nc\n", 2).len(), 1);
    }

    #[test]
    fn a_long_line_is_found_by_its_characters() {
        assert!(long_lines("äöü\n", 3).is_empty());
        assert_eq!(long_lines("abc\nabcd\n", 3)[0].0, 2);
        assert!(long_lines("f(\"a long text\")\n", 3).is_empty());
        assert_eq!(long_lines("// \"a\"\n", 5).len(), 1);
    }

    #[test]
    fn white_space_at_the_end_of_a_line_is_found() {
        assert!(trailing_space("a\n\n b\n").is_empty());
        assert_eq!(trailing_space("a \nb\t\nc\r\n").len(), 3);
    }

    #[test]
    fn forbidden_words_are_found_as_words() {
        let line = format!("// {}: later", UNFINISHED[0]);
        assert_eq!(mentions(&line, &UNFINISHED).len(), 1);
        assert!(mentions("MASTODON, a methodology", &UNFINISHED).is_empty());
        assert_eq!(mentions(&format!("let at = {:?};", format!("{}me", MACHINE[0])), &MACHINE).len(), 1);
    }

    #[test]
    fn a_way_out_of_the_simulated_world_is_found() {
        assert_eq!(ambient("use std::thread;\nlet id = thread::current();", &AMBIENT)[0].0, 1);
        assert_eq!(ambient("fn now() -> std::time::SystemTime {}", &AMBIENT).len(), 1);
        assert_eq!(ambient("std::env::var(\"TZ\") // as it is", &AMBIENT).len(), 1);
        assert!(ambient("// std::thread would do\nlet threads = 3;", &AMBIENT).is_empty());
        assert_eq!(module("host/src/bus/call.rs"), "bus");
        assert_eq!(module("host/src/bus.rs"), "bus");
        assert!(SIMULATED.iter().all(|name| LAYERS.iter().any(|(module, _)| module == name)));
    }

    #[test]
    fn a_long_function_is_found_whatever_its_text_holds() {
        let body = "    let text = \"}\"; // }\n    let c = '}';\n    let raw = r#\"}\"#;\n";
        let text = format!(
            "fn short() {{}}\n\nfn long<'a>(x: [u8; 2]) {{\n{body}}}\n\ntrait T {{ fn f(&self); }}\n"
        );
        assert!(long_functions(&text, 5).is_empty());
        let found = long_functions(&text, 4);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0], (3, "fn long has 5 lines, more than 4".to_owned()));
    }

    #[test]
    fn an_import_that_points_up_is_found_however_it_is_written() {
        let up = [
            "use crate::bus::Bus;",
            "use crate::{bus, model};",
            "use crate::{\n    model::{Nanos, ServiceId},\n    bus::Bus,\n};",
            "fn f(bus: &crate::bus::Bus) {}",
            "use super::bus::Bus;",
        ];
        for text in up {
            assert_eq!(wrong_imports("host/src/guest.rs", text).len(), 1, "{text}");
        }
        assert_eq!(wrong_imports("host/src/guest/host.rs", "use super::super::bus::Bus;").len(), 1);
        assert!(wrong_imports("host/src/guest.rs", "// crate::bus\nuse crate::model::Nanos;").is_empty());
        assert!(wrong_imports("host/src/guest/host.rs", "use super::scope::Scope;").is_empty());
        assert_eq!(wrong_imports("host/src/novel.rs", "").len(), 1);
    }

    #[test]
    fn a_file_that_nobody_declares_is_found() {
        let declares = |parent: &str, path: &str| {
            let (name, parents) = place(path)?;
            parents.iter().any(|file| file == parent).then_some(name)
        };
        assert_eq!(declares("host/src/bus.rs", "host/src/bus/call.rs").as_deref(), Some("call"));
        assert_eq!(declares("host/src/lib.rs", "host/src/bus.rs").as_deref(), Some("bus"));
        assert_eq!(
            declares("host/tests/it/main.rs", "host/tests/it/support/mod.rs").as_deref(),
            Some("support")
        );
        assert_eq!(
            declares("host/tests/it/support/mod.rs", "host/tests/it/support/http.rs").as_deref(),
            Some("http")
        );
        assert_eq!(place("host/tests/tidy.rs"), None);
        assert_eq!(place("host/tests/it/main.rs"), None);
        let names = declared("pub mod a;\n    mod b;\n// mod c;\nmod d {}\n");
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_topology_without_its_comment_is_found() {
        assert!(no_opening_comment("a.toml", "# a.toml: shows a\n").is_empty());
        assert_eq!(no_opening_comment("a.toml", "# b.toml: shows b\n").len(), 1);
        assert_eq!(no_opening_comment("a.toml", "[topology]\n").len(), 1);
    }
}
