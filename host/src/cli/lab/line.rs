//! The line on a terminal that says how far a check has come.

use std::sync::mpsc;
use std::thread;

use crate::error::printable;
use crate::lab::told::{Step, Told};
use crate::progress::{self, Line};

use super::tell_or_quit;

/// The line of a check. It is taken away when this is dropped.
#[derive(Debug)]
pub struct CheckLine {
    line: Line,
    _waiting: mpsc::Sender<()>,
}

impl CheckLine {
    /// A check that is over at once shows no line.
    pub fn new() -> Self {
        let (waiting, over) = mpsc::channel();
        let line = Line::of_words();
        let shown = line.clone();
        thread::spawn(move || {
            if over.recv_timeout(progress::SHOWN_AFTER) == Err(mpsc::RecvTimeoutError::Timeout) {
                shown.show();
            }
        });
        Self { line, _waiting: waiting }
    }

    /// Shows what is told.
    pub fn told(&self) -> Told {
        let line = self.line.clone();
        Told::new(move |step| match step {
            Step::Run(event) => line.suspend(|| tell_or_quit(event)),
            Step::Recording => line.say("making the recording again".to_owned()),
            Step::Seed { number, of, check } => line.say(format!("seed {number} of {of}: {}", flat(check))),
            Step::Trace => line.say("looking for the trace that shows the failure".to_owned()),
        })
    }

    /// What takes the line away from another thread.
    pub fn finish(&self) -> impl FnOnce() + Send + 'static {
        let line = self.line.clone();
        move || line.finish()
    }
}

impl Drop for CheckLine {
    fn drop(&mut self) {
        self.line.finish();
    }
}

/// The name of a check in one line.
fn flat(name: &str) -> String {
    printable(name).replace(['\n', '\t'], " ")
}
