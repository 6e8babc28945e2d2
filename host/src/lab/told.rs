//! What is told while a check goes on.

use std::fmt;
use std::sync::Arc;

use crate::run::RunEvent;

/// Something that has happened or begun.
#[derive(Clone, Debug)]
pub enum Step<'a> {
    /// In one of the runs.
    Run(RunEvent),
    /// The recording is made again, to be compared with the answers.
    Recording,
    /// What this check needs at a seed: the first, the second, … of several.
    Seed { number: usize, of: usize, check: &'a str },
    /// A run is made again, for the trace that shows a failure.
    Trace,
}

/// Who is told.
#[derive(Clone)]
pub struct Told(Arc<dyn Fn(Step<'_>) + Send + Sync>);

impl Told {
    pub fn new(tell: impl Fn(Step<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    pub fn tell(&self, step: Step<'_>) {
        (self.0)(step);
    }

    /// What a run tells its events.
    pub fn events(&self) -> impl Fn(RunEvent) + Clone + Send + use<> {
        let told = self.clone();
        move |event| told.tell(Step::Run(event))
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Told")
    }
}
