//! The book below `docs/` does what it shows: `transcripts` runs its commands, `links` follows its
//! links, `claims` asks that a command shows what a tutorial says, and the examples of the reference
//! of faults, `docs/reference/faults.md`, strike.

mod claims;
mod cli;
mod links;
mod reference;
mod served;
pub mod stage;
pub mod transcripts;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use simhost::topology;

use crate::support::{Topology, finish, simhost};

/// How an example is run.
const FLAGS: [&str; 6] = ["--virtual", "--for", "40s", "--seed", "7", "--json"];

/// A block of code of the page.
pub struct Block {
    /// The line where it begins.
    pub line: usize,
    /// The heading above it, without `#` and `` ` ``.
    pub heading: String,
    pub language: String,
    pub text: String,
}

impl Block {
    fn is_of_a_kind(&self) -> bool {
        kinds().contains(&self.heading)
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    text("docs/reference/faults.md")
}

/// A file of the repository.
pub fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut heading = String::new();
    let mut open: Option<Block> = None;
    for (number, line) in (1..).zip(page.lines()) {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                let (heading, language) = (heading.clone(), language.to_owned());
                open = Some(Block { line: number, heading, language, text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.text.extend([line, "\n"]),
            (None, None) if line.starts_with('#') => heading = line.replace(['#', '`'], "").trim().to_owned(),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "the last block is not closed");
    blocks
}

/// The kinds of fault, from the schema of topologies.
fn kinds() -> Vec<String> {
    let schema = serde_json::to_value(topology::schema()).expect("JSON");
    let kinds = schema["$defs"]["fault"]["properties"]["kind"]["enum"].as_array().expect("a list of kinds");
    kinds.iter().map(|kind| kind.as_str().expect("a name").to_owned()).collect()
}

/// Pages that are written by hand count the kinds, and list them.
#[test]
fn the_front_page_and_the_guides_know_all_kinds_of_fault() {
    let kinds = kinds();
    for page in ["README.md", "docs/guides/try-a-design.md"] {
        assert!(text(page).contains(&format!("{} kinds", kinds.len())), "{page}");
    }
    let guide = text("docs/guides/inject-faults.md");
    let missing: Vec<_> = kinds.iter().filter(|kind| !guide.contains(&format!("`{kind}`"))).collect();
    assert!(missing.is_empty(), "docs/guides/inject-faults.md: {missing:?}");
}

/// What a run with the truth says of its faults, by name: the closing row, and how
/// many lines there were of each sort.
fn strike(path: &Path) -> BTreeMap<String, (Value, usize, usize)> {
    let folder = tempfile::tempdir().expect("a folder");
    let truth = folder.path().join("truth.jsonl");
    let mut command = simhost();
    command.arg("run").arg(path).args(FLAGS);
    finish(command.arg("--truth").arg(&truth).arg("--no-counterfactual")).success();
    let lines = std::fs::read_to_string(&truth).expect("the truth");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let count = |record: &str, name: &Value| {
        lines.iter().filter(|line| line["record"] == record && line["fault"] == *name).count()
    };
    let last = lines.last().expect("a summary");
    let rows = last["faults"].as_array().expect("a row for each fault").iter();
    let told = rows.map(|row| {
        let name = &row["fault"];
        let lines = (row.clone(), count("window", name), count("firing", name));
        (name.as_str().expect("a name").to_owned(), lines)
    });
    told.collect()
}

/// Runs a topology, and says of its faults which have done nothing.
fn idle(path: &Path, faults: &[String]) -> Vec<String> {
    let told = strike(path);
    let done = |name: &String| {
        told.get(name).is_some_and(|(row, windows, firings)| {
            let counts = row["matched"].as_u64() > Some(0) && row["injected"].as_u64() > Some(0);
            // What befalls the receivers befalls no service, so its windows are all there is to tell.
            counts && *windows > 0 && (*firings > 0 || row["kind"] == "collector-down")
        })
    };
    let idle = faults.iter().filter(|name| !done(name));
    idle.map(|name| format!("{}: {name} has done nothing: {:?}", path.display(), told.get(name))).collect()
}

#[test]
fn each_kind_has_its_line_its_section_and_its_topology() {
    let page = page();
    let blocks = blocks(&page);
    let kinds = kinds();
    assert!(kinds.len() > 20 && kinds.contains(&"collector-down".to_owned()), "{kinds:?}");
    for kind in &kinds {
        assert!(page.contains(&format!("\n| [`{kind}`](#{kind}) |")), "{kind} has no line in the table");
        assert!(page.contains(&format!("\n### `{kind}`\n")), "{kind} has no section");
        let file = root().join(format!("topologies/faults/{kind}.toml"));
        let text =
            std::fs::read_to_string(&file).unwrap_or_else(|_| panic!("there is no {}", file.display()));
        let examples = blocks.iter().filter(|block| block.heading == *kind && block.language == "toml");
        let examples: Vec<_> = examples.collect();
        assert_eq!(examples.len(), 1, "{kind} has an example");
        assert!(text.contains(&examples[0].text), "the example of {kind} is not in {}", file.display());
        let read = topology::load(&file, &["service", "orders", "inventory", "payment", "notification"]);
        let model = read.expect("a topology").model;
        let of_file: Vec<_> = model.faults.iter().map(|fault| fault.kind.name).collect();
        assert_eq!(of_file, [kind.as_str()], "{}", file.display());
    }
    let files = std::fs::read_dir(root().join("topologies/faults")).expect("a folder");
    let stems = files.map(|file| file.expect("a file").path().with_extension(""));
    for stem in stems {
        let stem = stem.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(kinds.contains(&stem), "{stem} is no kind");
    }
}

#[test]
fn the_topology_of_each_kind_strikes_and_the_truth_says_so() {
    let mut wrong = Vec::new();
    for kind in kinds() {
        let path = root().join(format!("topologies/faults/{kind}.toml"));
        let text = std::fs::read_to_string(&path).expect("a topology");
        let name = text.split_once("[[faults]]\nname = \"").and_then(|(_, rest)| rest.split_once('"'));
        wrong.extend(idle(&path, &[name.expect("a fault").0.to_owned()]));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_example_of_the_page_strikes_in_the_topology_of_orders() {
    let orders = std::fs::read_to_string(root().join("topologies/orders.toml")).expect("a topology");
    let page = page();
    let blocks = blocks(&page);
    let examples = blocks.iter().filter(|block| block.language == "toml" && !block.is_of_a_kind());
    let mut wrong = Vec::new();
    let mut count = 0;
    for block in examples {
        let topology = Topology::new("orders", format!("{orders}\n{}", block.text));
        let names = block.text.split("[[faults]]\nname = \"").skip(1);
        let names: Vec<_> = names.filter_map(|rest| rest.split_once('"')).collect();
        let names: Vec<_> = names.into_iter().map(|(name, _)| name.to_owned()).collect();
        count += names.len();
        let idle = idle(&topology.path(), &names);
        wrong.extend(idle.iter().map(|idle| format!("docs/reference/faults.md:{}: {idle}", block.line)));
    }
    assert!(count > 5, "the page has {count} faults of its own");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn images_and_configurations_of_the_recipes_are_those_of_the_project() {
    let page = text("docs/guides/test-a-tool.md");
    let compose = text("docker-compose.yml");
    let words = || page.split(|c: char| c.is_whitespace() || "()`".contains(c));
    let images: Vec<_> = words().filter(|word| word.contains("/jaeger:")).collect();
    assert_eq!(images.len(), 1, "{images:?}");
    assert!(
        compose.contains(&format!("image: {}\n", images[0])),
        "docker-compose.yml has another {}",
        images[0]
    );
    let files: Vec<_> = words().filter(|word| word.starts_with("collector/")).collect();
    assert!(files.len() > 2, "{files:?}");
    for file in files {
        assert!(root().join(file.trim_end_matches([';', ','])).is_file(), "there is no {file}");
    }
}
