//! `simhost lab check` and `simhost lab show`.

use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::Args;

use crate::error::{Problem, Refused};
use crate::lab::cell::{Cell, Trouble};
use crate::lab::manifest::{Check as LabCheck, SEEDS_AT_MOST};
use crate::lab::state::{Last, State};
use crate::lab::witness::{self, Sought};
use crate::lab::{Bench, Verdict, salt, text};

use super::super::terminal::style;
use super::super::{REFUSED, complain, print};
use super::folder::now;
use super::{Folder, refused, tell_or_quit};

/// A check that takes longer is stopped: a guest may never end.
const CHECK_AT_MOST: Duration = Duration::from_secs(180);

/// Lines of the trace below the first failure; `simhost lab show` has all.
const TRACE_LINES: usize = 24;

/// Lines of a trace that `simhost lab show` draws.
const SHOWN_LINES: usize = 2_000;

#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    folder: Folder,

    /// Seeds to check at: the public ones first, then hidden ones
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = seeds)]
    seeds: usize,

    /// The text that hidden seeds follow from [default: that of the start]
    #[arg(long, value_name = "TEXT")]
    salt: Option<String>,
}

#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    folder: Folder,
}

fn seeds(text: &str) -> Result<usize, String> {
    let seeds = text.parse().ok().filter(|seeds| (1..=SEEDS_AT_MOST).contains(seeds));
    seeds.ok_or_else(|| format!("write a whole number from 1 to {SEEDS_AT_MOST}"))
}

impl Check {
    pub fn execute(self) -> Result<ExitCode, Refused> {
        let (lab, mut state) = self.folder.open()?;
        let folder = &self.folder.folder;
        let watched = end_in_time();
        // Names are those of the start, whose files have them.
        let lab = lab.salted(&state.salt)?;
        let salt = self.salt.as_deref().unwrap_or(&state.salt);
        let seeds = salt::seeds(&lab.manifest.id, salt, &lab.manifest.run.seeds, self.seeds);
        let bench = Bench::new(&lab, folder, tell_or_quit)?;
        let mut verdict = bench.judge(&seeds)?;
        let shown = match verdict.first_failure().filter(|_| verdict.frozen.is_none()) {
            Some(at) => {
                shown(&bench, &mut verdict, at, &lab.manifest.checks[at]).map_err(Trouble::into_refused)?
            }
            None => (String::new(), None),
        };
        let (shown, last) = shown;
        note(&mut state, &verdict, last);
        if let Err(problem) = state.write(folder) {
            complain("warning", &problem.message, problem.help.as_deref());
        }
        drop(watched);
        let printed = print(&text::text(&verdict, style(), &shown));
        Ok(if verdict.solved { printed } else { ExitCode::FAILURE })
    }
}

/// The trace that shows a failure, with the commands that open more of it.
fn shown(
    bench: &Bench<'_>,
    verdict: &mut Verdict,
    at: usize,
    check: &LabCheck,
) -> Result<(String, Option<Last>), Trouble> {
    let row = &mut verdict.checks[at];
    let Some(seed) = row.seed else { return Ok((String::new(), None)) };
    let sought = match &row.trace_id {
        Some(id) => Some(Sought::Named(id)),
        None => check.kind.metrics().next().map(Sought::Worst),
    };
    let cell = Cell { seed, faults: check.faults.as_deref(), spans: true };
    let found = sought.map(|sought| witness::find(bench.world(), cell, sought)).transpose()?.flatten();
    let mut last = Last { check: row.name.clone(), seed, faults: check.faults.clone(), trace: None };
    let Some(found) = found else { return Ok((String::new(), Some(last))) };
    row.trace_id = Some(found.id.to_string());
    last.trace.clone_from(&row.trace_id);
    let mut text = format!("\n{}\n  draw all of it:  simhost lab show\n", found.draw(style(), TRACE_LINES));
    text.extend(bench.command(cell).map(|command| format!("  record the run:  {command}\n")));
    text.push('\n');
    Ok((text, Some(last)))
}

/// Notes an attempt.
fn note(state: &mut State, verdict: &Verdict, last: Option<Last>) {
    state.attempts = state.attempts.saturating_add(1);
    state.checked = now();
    state.last = last;
    if verdict.solved && state.solved.is_none() {
        state.solved = now();
    }
}

impl Show {
    pub fn execute(self) -> Result<ExitCode, Refused> {
        let (lab, state) = self.folder.open()?;
        let help = "`simhost lab check` says what is still wrong, and names a trace";
        let Some(Last { seed, faults, trace: Some(trace), .. }) = &state.last else {
            return Err(refused(Problem::new("the last check has left no trace to show").help(help)));
        };
        let watched = end_in_time();
        let lab = lab.salted(&state.salt)?;
        let bench = Bench::new(&lab, &self.folder.folder, tell_or_quit)?;
        let cell = Cell { seed: *seed, faults: faults.as_deref(), spans: true };
        let found =
            witness::find(bench.world(), cell, Sought::Named(trace)).map_err(Trouble::into_refused)?;
        drop(watched);
        match found {
            Some(found) => Ok(print(&found.draw(style(), SHOWN_LINES))),
            None => {
                let what = "the trace of the last check is gone, as the topology was changed since";
                Err(refused(Problem::new(what).help(help)))
            }
        }
    }
}

/// Ends the program when the time of a check is over, unless what it gives back is dropped before.
fn end_in_time() -> mpsc::Sender<()> {
    let (watched, over) = mpsc::channel();
    thread::spawn(move || {
        if over.recv_timeout(CHECK_AT_MOST) == Err(mpsc::RecvTimeoutError::Timeout) {
            let what = format!("the check was stopped: it took longer than {} s", CHECK_AT_MOST.as_secs());
            let help =
                "does a guest compute without end, or does the topology make far more requests than before?";
            complain("error", &what, Some(help));
            std::process::exit(i32::from(REFUSED));
        }
    });
    watched
}
