//! `simhost lab list`: the ladder.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::error::Refused;
use crate::lab::catalogue::{self, Lab};
use crate::lab::state::{Progress, State};
use crate::telemetry::console::Style;

use super::super::print;
use super::super::terminal::style;

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
        let rows: Vec<_> = labs.into_iter().map(|lab| (progress(&lab), lab)).collect();
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

/// How far the student is, by the folder of the lab below this one, or by this one.
fn progress(lab: &Lab) -> Progress {
    let is_of = |state: &State| state.lab == lab.manifest.id;
    let folders = [Path::new(&lab.folder), Path::new(".")];
    let mut states = folders.into_iter().filter_map(State::read).filter(is_of);
    states.next().map_or(Progress::Untouched, |state| state.progress())
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
