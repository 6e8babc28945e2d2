//! `simhost lab start` and what else writes a student's folder.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::clock;
use crate::error::Refused;
use crate::lab::catalogue;
use crate::lab::files;
use crate::lab::state::State;
use crate::telemetry::console::text::moment;

use super::super::print;
use super::refused;

#[derive(Debug, Args)]
pub struct Start {
    /// The lab: its number, its id, or the folder of a lab that you wrote
    lab: String,

    /// Write into this folder, which is made [default: one of the lab's name, here]
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,

    /// A text from your teacher: hidden seeds and the names of services follow from it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    salt: String,
}

impl Start {
    pub fn execute(self) -> Result<ExitCode, Refused> {
        let lab = catalogue::find(&self.lab)?.salted(&self.salt)?;
        let folder = self.into.unwrap_or_else(|| PathBuf::from(&lab.folder));
        let state = State {
            note: "written by simhost lab; it may be lost, and nothing in it is worth editing".to_owned(),
            lab: lab.manifest.id.clone(),
            origin: lab.origin.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            salt: self.salt,
            started: now(),
            ..State::default()
        };
        files::make_folder(&folder, &lab.starter()).map_err(refused)?;
        state.write(&folder).map_err(refused)?;
        let shown = folder.display();
        let manifest = &lab.manifest;
        let mut text = format!("{}\n", manifest.title);
        text.extend(manifest.objectives.iter().map(|objective| format!("  - {objective}\n")));
        text.push_str(&format!(
            "\nabout {} minutes; the files are in {shown}\n\n  cd {shown}\n  less README.md\n  simhost lab check\n",
            manifest.minutes
        ));
        Ok(print(&text))
    }
}

/// The instant, in UTC.
pub fn now() -> Option<String> {
    moment(clock::wall())
}
