//! `simhost lab check` and `simhost lab show`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::error::{Problem, Refused, wrap};
use crate::lab::catalogue::Lab;
use crate::lab::cell::{Cell, Trouble};
use crate::lab::grade::{UNJUDGED, starved};
use crate::lab::manifest::{Check as LabCheck, SEEDS_AT_MOST};
use crate::lab::state::{Last, State};
use crate::lab::told::{Step, Told};
use crate::lab::witness::{self, Sought};
use crate::lab::{Bench, Verdict, formats, judge, salt, score, text};
use crate::run::signals::INTERRUPTED;

use super::super::terminal::style;
use super::super::{REFUSED, complain, print_drawn, writable, write};
use super::folder::{now, remember};
use super::line::CheckLine;
use super::{Folder, next, quiet, refused};

/// A check that takes longer is stopped: a guest may never end.
const CHECK_AT_MOST: Duration = Duration::from_secs(180);

/// Seeds that a check is made at, and that a lab is solved at.
const SEEDS: usize = 8;

/// Lines of the trace below the first failure; `simhost lab show` has all.
const TRACE_LINES: usize = 24;

/// Lines of a trace that `simhost lab show` draws.
const SHOWN_LINES: usize = 2_000;

#[derive(Clone, Debug, Args)]
pub struct Check {
    #[command(flatten)]
    folder: Folder,

    /// Seeds to check at: the public ones first, then hidden ones
    #[arg(long, value_name = "N", default_value_t = SEEDS, value_parser = seeds)]
    seeds: usize,

    /// The text that hidden seeds follow from [default: that of the start]
    #[arg(long, value_name = "TEXT")]
    salt: Option<String>,

    /// How the result is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: Format,

    /// Write the result to this file; - is standard output
    #[arg(long, value_name = "FILE", default_value = "-", hide_default_value = true)]
    out: PathBuf,

    /// Read no state file and write none: names and recording follow from --salt too
    #[arg(long)]
    graded: bool,

    /// End when standard input does: with `simhost lab grade`, which bounds time and memory of a check
    #[arg(long, hide = true)]
    while_stdin_is_open: bool,
}

/// How a result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a person
    Text,
    /// simhost's own JSON: `simhost schema lab-result`
    Json,
    /// JUnit XML
    Junit,
    /// results.json of Gradescope
    Gradescope,
    /// results.json of Exercism, version 3
    Exercism,
}

#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    folder: Folder,
}

pub fn seeds(text: &str) -> Result<usize, String> {
    let seeds = text.parse().ok().filter(|seeds| (1..=SEEDS_AT_MOST).contains(seeds));
    seeds.ok_or_else(|| format!("write a whole number from 1 to {SEEDS_AT_MOST}"))
}

/// A result, with what shows its first failure to a person.
struct Judged {
    verdict: Verdict,
    shown: String,
    last: Option<Last>,
}

impl Check {
    pub fn execute(self) -> Result<ExitCode, Refused> {
        if self.while_stdin_is_open {
            end_with_stdin();
        }
        writable(Some(&self.out))?;
        let (lab, state) = match self.graded {
            true => {
                let salt = self.salt.clone().unwrap_or_default();
                (self.folder.open_unread()?, State { salt, ..State::default() })
            }
            false => self.folder.open()?,
        };
        // Names are those of the start, whose files have them.
        let lab = lab.salted(&state.salt)?;
        let salt = self.salt.as_deref().unwrap_or(&state.salt);
        let seeds = salt::seeds(&lab.manifest.id, salt, &lab.manifest.run.seeds, self.seeds);
        let line = CheckLine::new();
        let (late, of_lab, of_seeds, wipe) = (self.clone(), lab.clone(), seeds.clone(), line.finish());
        let watched = end_in_time(move |why| {
            wipe();
            why.into_iter().for_each(|why| late.write_broken(&of_lab, &of_seeds, why));
        });
        let judged = self.judge(&lab, &state, &seeds, &line.told());
        drop((watched, line));
        match judged {
            Ok(judged) => {
                if !self.graded {
                    remember(&self.folder, state, |state| note(state, &lab, &judged));
                }
                let written = self.write(&judged);
                Ok(if judged.verdict.solved || written != ExitCode::SUCCESS {
                    written
                } else {
                    ExitCode::FAILURE
                })
            }
            // A result would be one without points.
            Err(refused) if refused.is_of_surroundings() => {
                for Problem { message, help, .. } in refused.problems() {
                    complain("error", message, help.as_deref());
                }
                Ok(ExitCode::from(UNJUDGED))
            }
            // Who reads documents gets one otherwise.
            Err(refused) => {
                self.write_broken(&lab, &seeds, &in_words(&refused, &self.folder.folder));
                Err(refused)
            }
        }
    }

    /// Writes the result of files that cannot be judged, for who reads documents.
    fn write_broken(&self, lab: &Lab, seeds: &[u64], why: &str) {
        if self.format != Format::Text {
            let verdict = judge::broken(lab, seeds, why);
            self.write(&Judged { verdict, shown: String::new(), last: None });
        }
    }

    fn judge(&self, lab: &Lab, state: &State, seeds: &[u64], told: &Told) -> Result<Judged, Refused> {
        let bench = Bench::new(lab, &state.salt, &self.folder.folder, told)?;
        let mut verdict = bench.judge(seeds, (!self.graded).then_some(&state.failures))?;
        // A grader looks at no trace.
        let failure = verdict.first_failure().filter(|_| verdict.frozen.is_none() && !self.graded);
        let (shown, last) = match failure {
            Some(at) => {
                told.tell(Step::Trace);
                shown(&bench, &mut verdict, at, (&lab.manifest.checks[at], &self.folder.folder))
                    .map_err(Trouble::into_refused)?
            }
            None if verdict.solved && !self.graded => (self.after(lab, &verdict), None),
            None => (String::new(), None),
        };
        Ok(Judged { verdict, shown, last })
    }

    /// What comes after a lab that is solved.
    fn after(&self, lab: &Lab, verdict: &Verdict) -> String {
        let folder = &self.folder.folder;
        if !is_solved(verdict) {
            return format!(
                "\n  solved at {SEEDS} seeds it counts: simhost lab check{}\n",
                next::argument(folder)
            );
        }
        let mut text = format!("\n  why it works:  simhost lab reveal{}\n", next::argument(folder));
        if let Some(behind) = next::behind(folder, &lab.folder) {
            text.push_str(&format!("  the next lab:  simhost lab start {}\n", behind.folder));
        }
        text
    }

    fn write(&self, Judged { verdict, shown, .. }: &Judged) -> ExitCode {
        let text = match self.format {
            Format::Text if self.out.as_os_str() == "-" => {
                return print_drawn(&text::text(verdict, style(), shown));
            }
            Format::Text => text::text(verdict, style(), shown),
            Format::Json => formats::json(verdict),
            Format::Junit => formats::junit(verdict),
            Format::Gradescope => formats::gradescope(verdict),
            Format::Exercism => formats::exercism(verdict),
        };
        write(&text, Some(&self.out))
    }
}

/// What is wrong with the files, without pictures of them: `topology.toml:5:9: unknown key …`.
fn in_words(refused: &Refused, folder: &Path) -> String {
    let words = refused.places().map(|(problem, place)| {
        let place = place.map(|(file, (line, column))| {
            let file = Path::new(file).strip_prefix(folder).unwrap_or(Path::new(file));
            format!("{}:{line}:{column}: ", file.display())
        });
        let help = problem.help.as_ref().map(|help| format!(": {help}"));
        format!("{}{}{}", place.unwrap_or_default(), problem.message, help.unwrap_or_default())
    });
    words.collect::<Vec<_>>().join("\n")
}

/// The trace that shows a failure, with the commands that open more of it.
fn shown(
    bench: &Bench<'_>,
    verdict: &mut Verdict,
    at: usize,
    (check, folder): (&LabCheck, &Path),
) -> Result<(String, Option<Last>), Trouble> {
    let row = &mut verdict.checks[at];
    let Some(seed) = row.seed else { return Ok((String::new(), None)) };
    let sought = match &row.trace_id {
        Some(id) => Some(Sought::Named(id)),
        None => check.kind.metrics().next().map(Sought::Worst),
    };
    let cell = Cell { seed, faults: check.faults.as_deref(), spans: true, every_trace: true };
    let found = sought.map(|sought| witness::find(bench.world(), cell, sought)).transpose()?.flatten();
    let mut last = Last { check: row.name.clone(), seed, faults: check.faults.clone(), trace: None };
    let Some(found) = found else { return Ok((String::new(), Some(last))) };
    row.trace_id = Some(found.id.to_string());
    last.trace.clone_from(&row.trace_id);
    let mut text = format!("\n{}", found.draw(style(), TRACE_LINES));
    if let Some(note) = &found.note {
        let note = wrap(note, usize::from(style().width) - 2);
        text.push_str(&format!("\n  {}\n", note.replace('\n', "\n  ")));
    }
    text.push_str(&format!("\n{}  draw all of it:  simhost lab show\n", next::go(folder)));
    text.extend(bench.command(cell).map(|command| recorded(&command, usize::from(style().width))));
    text.push('\n');
    Ok((text, Some(last)))
}

/// How the run of a failure is recorded: on one line if it fits, else on several that a shell joins.
fn recorded(command: &str, width: usize) -> String {
    let line = format!("  record the run:  {command}\n");
    if line.chars().count() <= width {
        return line;
    }
    let wrapped = wrap(command, width - 8);
    format!("  record the run:\n    {}\n", wrapped.trim_end().replace('\n', " \\\n      "))
}

/// Notes an attempt, with what has failed.
fn note(state: &mut State, lab: &Lab, Judged { verdict, last, .. }: &Judged) {
    state.lab.clone_from(&lab.manifest.id);
    state.attempts = state.attempts.saturating_add(1);
    state.checked = now();
    state.last.clone_from(last);
    score::note(&mut state.failures, &lab.manifest.checks, &verdict.checks);
    if is_solved(verdict) && state.solved.is_none() {
        state.solved = now();
    }
}

/// Whether it counts as solved: fewer seeds may not show what is wrong. A recording has none.
fn is_solved(verdict: &Verdict) -> bool {
    verdict.solved && (verdict.seeds.is_empty() || verdict.seeds.len() >= SEEDS)
}

impl Show {
    pub fn execute(self) -> Result<ExitCode, Refused> {
        let (lab, state) = self.folder.open()?;
        let help = match lab.manifest.record {
            Some(_) => {
                "in a lab with a recording no trace is named: `simhost traces telemetry.jsonl` draws those of \
                 the recording"
            }
            None => "`simhost lab check` says what is still wrong, and names a trace",
        };
        let Some(Last { seed, faults, trace: Some(trace), .. }) = &state.last else {
            return Err(refused(Problem::new("the last check has left no trace to show").help(help)));
        };
        let watched = end_in_time(|_| ());
        let lab = lab.salted(&state.salt)?;
        let bench = Bench::new(&lab, &state.salt, &self.folder.folder, &quiet())?;
        let cell = Cell { seed: *seed, faults: faults.as_deref(), spans: true, every_trace: true };
        let found =
            witness::find(bench.world(), cell, Sought::Named(trace)).map_err(Trouble::into_refused)?;
        drop(watched);
        match found {
            Some(found) => Ok(print_drawn(&found.draw(style(), SHOWN_LINES))),
            None => {
                let what = "the trace of the last check is gone, as the topology was changed since";
                Err(refused(Problem::new(what).help(help)))
            }
        }
    }
}

/// Ends the program when its standard input ends, whatever it does then.
fn end_with_stdin() {
    thread::spawn(|| {
        io::copy(&mut io::stdin(), &mut io::sink()).ok();
        crate::files::end_program(INTERRUPTED);
    });
}

/// Ends the program when the time of a check is over, unless what it gives back is dropped before. `and` may
/// write down why, if it is the submission's fault.
fn end_in_time(and: impl FnOnce(Option<&str>) + Send + 'static) -> mpsc::Sender<()> {
    let (watched, over) = mpsc::channel();
    thread::spawn(move || {
        if over.recv_timeout(CHECK_AT_MOST) == Err(mpsc::RecvTimeoutError::Timeout) {
            let what = format!("the check was stopped: it took longer than {} s", CHECK_AT_MOST.as_secs());
            let is_starved = starved(std::process::id(), CHECK_AT_MOST).is_some();
            and((!is_starved).then_some(&*what));
            let help = match is_starved {
                true => "the machine is busy with other programs: check again when it is not",
                false => {
                    "does a guest compute without end, or does the topology make far more requests than before?"
                }
            };
            complain("error", &what, Some(help));
            crate::files::end_program(i32::from(if is_starved { UNJUDGED } else { REFUSED }));
        }
    });
    watched
}
