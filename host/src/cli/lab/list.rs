//! `simhost lab list`: the ladder.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::error::Refused;
use crate::lab::catalogue::{self, Lab};
use crate::lab::state::{Progress, State};
use crate::telemetry::console::Style;

use super::super::print;
use super::super::terminal::style;

/// Files and folders that are looked at for labs that were begun.
const FOLDERS_AT_MOST: usize = 1_000;

#[derive(Debug, Args)]
pub struct List {
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
}

/// A lab, as programs read it.
#[derive(Debug, Serialize)]
struct Row {
    number: String,
    id: String,
    title: String,
    level: u32,
    minutes: u32,
    needs: Vec<String>,
    after: Vec<String>,
    state: &'static str,
}

impl List {
    pub fn execute(self) -> Result<ExitCode, Refused> {
        let labs = catalogue::all()?;
        let states = states();
        let rows: Vec<_> = labs.into_iter().map(|lab| (progress(&lab, &states), lab)).collect();
        if self.json {
            let rows: Vec<_> = rows.into_iter().map(|(progress, lab)| Row::new(lab, progress)).collect();
            let text = serde_json::to_string_pretty(&rows).expect("rows have only keys that are strings");
            return Ok(print(&(text + "\n")));
        }
        let style = style();
        let mut text: String = rows.iter().map(|(progress, lab)| line(lab, *progress, style)).collect();
        text.push_str("\nsimhost lab start NUMBER writes the files of a lab into a new folder\n");
        Ok(print(&text))
    }
}

/// What is remembered in this folder and in those below it, whatever they are called.
fn states() -> Vec<State> {
    let entries = std::fs::read_dir(".").into_iter().flatten().flatten().take(FOLDERS_AT_MOST);
    let folders = entries.map(|entry| entry.path()).filter(|path| path.is_dir());
    folders.chain([PathBuf::from(".")]).filter_map(|folder| State::read(&folder).ok()?).collect()
}

/// How far the student is: where a lab was begun more than once, the farthest.
fn progress(lab: &Lab, states: &[State]) -> Progress {
    let of_lab = states.iter().filter(|state| state.lab == lab.manifest.id);
    of_lab.map(State::progress).max().unwrap_or(Progress::Untouched)
}

fn number(lab: &Lab) -> &str {
    lab.folder.split_once('-').map_or(lab.folder.as_str(), |(number, _)| number)
}

/// A line of 80 columns at most, if the title is short enough.
fn line(lab: &Lab, progress: Progress, style: Style) -> String {
    let mark = match (progress, style.plain || !style.unicode) {
        (Progress::Untouched, false) => "○",
        (Progress::Begun, false) => "◐",
        (Progress::Solved, false) => "●",
        (progress, true) => progress.word(),
    };
    let manifest = &lab.manifest;
    let needs =
        if manifest.needs.is_empty() { String::new() } else { format!(", {}", manifest.needs.join(", ")) };
    let facts = format!("level {}, {} min{needs}", manifest.level, manifest.minutes);
    let width = if style.plain || !style.unicode { 11 } else { 1 };
    format!("{mark:width$} {}  {:44}  {facts}\n", number(lab), manifest.title)
}

impl Row {
    fn new(lab: Lab, progress: Progress) -> Self {
        let number = number(&lab).to_owned();
        let manifest = lab.manifest;
        Self {
            number,
            id: manifest.id,
            title: manifest.title,
            level: manifest.level,
            minutes: manifest.minutes,
            needs: manifest.needs,
            after: manifest.after,
            state: progress.word(),
        }
    }
}
