//! What a tutorial says stands in tables on the page of its system. Each row leads to a section of the
//! book with a command that a test runs: `transcripts`, or `collector::book` where a Collector is built.

use std::path::Path;

use super::links::{anchor, links, resolve};
use super::stage::marks;
use super::transcripts::pages;
use super::{Block, blocks, text};

/// The headings of the tables, and how many rows each has at least on every page.
const TABLES: [(&str, usize); 2] = [("What the tutorial says", 8), ("What is different here", 2)];

/// The rows of the tables below a heading, without their heads.
fn rows<'a>(page: &'a str, heading: &str) -> Vec<&'a str> {
    let below = page.lines().skip_while(|line| line.strip_prefix("## ") != Some(heading)).skip(1);
    let lines = below.take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("| "));
    lines.skip(1).collect()
}

fn is_run(block: &Block) -> bool {
    marks(block).is_some_and(|marks| !marks.contains(&"no-run"))
}

/// Whether a link of a page leads to a section with a command that is run.
fn shows(path: &str, page: &str, target: &str) -> bool {
    let Some((file, wanted)) = target.split_once('#') else { return false };
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    let other = resolve(folder, file).filter(|_| !file.is_empty());
    let text = other.map_or_else(|| page.to_owned(), |other| text(&other.to_string_lossy()));
    blocks(&text).iter().any(|block| anchor(&block.heading) == wanted && is_run(block))
}

/// The rows that lead to no command.
fn unshown<'a>(path: &str, page: &'a str, rows: &[&'a str]) -> Vec<&'a str> {
    let is_shown = |row: &str| links(row).iter().any(|(_, target)| shows(path, page, target));
    rows.iter().copied().filter(|row| !is_shown(row)).collect()
}

#[test]
fn every_claim_of_a_tutorial_leads_to_a_command_that_a_test_runs() {
    let pages = pages("docs/systems").into_iter().filter(|page| !page.ends_with("README.md"));
    let mut wrong = Vec::new();
    for path in pages {
        let page = text(&path);
        for (heading, least) in TABLES {
            let rows = rows(&page, heading);
            assert!(rows.len() >= least, "{path}: {} rows below {heading}", rows.len());
            wrong.extend(unshown(&path, &page, &rows).into_iter().map(|row| format!("{path}: {row}")));
        }
    }
    assert!(wrong.is_empty(), "these lead to no section with a command that is run:\n{}", wrong.join("\n"));
}

/// A command in a table is run by nobody: it stands in a block of the section that its row leads to.
#[test]
fn no_table_of_a_system_has_a_command_of_its_own() {
    let is_command = |code: &str| {
        code.split(' ').any(|word| word == "simhost") && (code.contains(".toml") || code.contains(".jsonl"))
    };
    let mut wrong = Vec::new();
    for path in pages("docs/systems") {
        let page = text(&path);
        for line in page.lines().filter(|line| line.starts_with("| ")) {
            let commands = line.split('`').skip(1).step_by(2).filter(|code| is_command(code));
            wrong.extend(commands.map(|command| format!("{path}: {command}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(is_command("simhost check topologies/checkout.toml") && !is_command("simhost diff"));
}

#[test]
fn a_row_without_a_command_that_is_run_is_found() {
    let page = "## A `b`\n```console\n$ true\n```\n## C\n```console,no-run\n$ true\n```\n\
                ## Claims\n| claim | shown |\n|---|---|\n| 1 | [a](#a-b) |\n| 2 | [c](#c) |\n\
                | 3 | none |\n## D\n| 4 | |\n";
    let rows = rows(page, "Claims");
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert_eq!(unshown("a.md", page, &rows), ["| 2 | [c](#c) |", "| 3 | none |"]);
}
