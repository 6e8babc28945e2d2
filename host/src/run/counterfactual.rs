//! What each fault has caused: in virtual time the run is made once more without it,
//! and every request from outside, every message and every run of a job is laid beside itself.
//!
//! Nothing of such a run leaves it. All else is as it was, the recording of spans
//! among it: a guest may look at what it is told of its trace.

mod services;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::clock::{Clock, Stopwatch};
use crate::model::{Model, Nanos};
use crate::progress::{Course, Progress};
use crate::self_telemetry::Phase;
use crate::socket::Shortage;
use crate::telemetry::env::Settings as TelemetrySettings;
use crate::telemetry::pipeline::Pace;
use crate::truth::{Closing, Record, Runs, Skipped};

use super::event::RunEvent;
use super::loaded::Loaded;
use super::self_telemetry::Watched;
use super::truth::{Truth, WorldTruth};
use super::watch::show_later;
use super::world::{Simulated, World};
use super::{Options, RunError, loads, shards};

/// A run that is over, and can be made again.
pub struct Counterfactual<'a> {
    pub options: &'a Options,
    pub model: &'a Model,
    pub telemetry: &'a TelemetrySettings,
    pub loaded: &'a Loaded,
    pub is_recorded: bool,
    pub network: &'a Runtime,
    /// Turns true when somebody cannot wait.
    pub stop: &'a Arc<watch::Sender<bool>>,
    /// Whether a line of progress may be drawn.
    pub is_shown: bool,
    /// The span of the whole, where the simulator has telemetry of its own.
    pub run: Option<&'a Phase>,
}

impl Counterfactual<'_> {
    /// Writes the last line of the truth, with what each fault has caused. `on_event` is told before the
    /// runs without a fault, and if an interruption has left any of them out. The run itself has taken
    /// `took`.
    pub fn close(&self, truth: &mut Truth, done: &Simulated, took: Duration, on_event: impl Fn(RunEvent)) {
        if let Some(faults) = self.comparisons(truth, done) {
            let faults = (!self.options.blind).then_some(faults);
            on_event(RunEvent::Comparing { faults, took });
        }
        truth.gather();
        let comparing = self.run.map(|run| run.child("compare", Vec::new()));
        if !self.write(truth, done, comparing.as_ref()) {
            on_event(RunEvent::Uncompared);
        }
    }

    /// Writes it. False if an interruption has left any of the runs out.
    fn write(&self, truth: &Truth, done: &Simulated, comparing: Option<&Phase>) -> bool {
        let names = Arc::clone(&truth.names);
        let closing = Closing {
            model: self.model,
            names: &names,
            accounts: &done.faults,
            seen: &done.seen,
            start: done.start,
            simulated: done.simulated,
        };
        let fired = self.fired(done);
        let (mut number, mut is_whole) = (0, true);
        let record = closing.record(|index| {
            let fault = &self.model.faults[index];
            if !fault.effect.may_change_requests() {
                return Err(Skipped::ChangesNoRequest);
            }
            if let Some(why) = self.why_not(truth, done) {
                is_whole &= why != Skipped::Interrupted;
                return Err(why);
            }
            number += 1;
            let what = match self.options.blind {
                true => "again for the truth".to_owned(),
                false => format!("without {} ({number} of {fired})", fault.name),
            };
            // Nor does it name the fault elsewhere: this goes where the records go.
            let shown = comparing.filter(|_| !self.options.blind);
            let _phase = shown.map(|comparing| comparing.child("counterfactual", Vec::new()));
            let other = self.without(index, done.start, what);
            let other = other.ok().filter(|other| other.halted.is_empty()).ok_or(Skipped::Failed)?;
            // A run that was cut short is no measure.
            if let Some(why) = self.interrupted() {
                is_whole = false;
                return Err(why);
            }
            let services = services::changes(index, self.model, [done, &other], &names);
            let lags = services::lags(self.model, [done, &other]);
            let (with, without, start) = (&done.seen, &other.seen, done.start);
            let end = start.saturating_add(done.simulated);
            let runs = Runs { with, without, names: &names, lags: &lags, start, end };
            Ok(runs.compare(self.options.changed.most(), services, |pair| {
                truth.sink().write(&Record::changed(pair, &fault.name, &names, start));
            }))
        });
        truth.sink().write(&record);
        is_whole
    }

    /// Faults that have struck, and may have changed requests.
    fn fired(&self, done: &Simulated) -> usize {
        let changing = |name: &str| {
            let fault = self.model.faults.iter().find(|fault| fault.name == name);
            fault.is_some_and(|fault| fault.effect.may_change_requests())
        };
        done.faults.iter().filter(|account| account.has_done_anything() && changing(&account.name)).count()
    }

    /// How many runs without a fault are to be made, if any are.
    fn comparisons(&self, truth: &Truth, done: &Simulated) -> Option<usize> {
        let fired = self.fired(done);
        (fired > 0 && self.why_not(truth, done).is_none()).then_some(fired)
    }

    /// Why no run without a fault can tell what it has caused.
    fn why_not(&self, truth: &Truth, done: &Simulated) -> Option<Skipped> {
        if !self.options.virtual_time {
            Some(Skipped::RealTime)
        } else if !truth.is_compared {
            Some(Skipped::NotWanted)
        } else if done.seen.iter().any(|seen| seen.by_hand) {
            Some(Skipped::ChangedByHand)
        } else if !done.halted.is_empty() {
            Some(Skipped::Failed)
        } else {
            self.interrupted()
        }
    }

    fn interrupted(&self) -> Option<Skipped> {
        self.stop.borrow().then_some(Skipped::Interrupted)
    }

    /// The same run without one of its faults, from `start` on; `what` is what the line of progress says.
    fn without(&self, fault: usize, start: Nanos, what: String) -> Result<Simulated, RunError> {
        let mut model = self.model.clone();
        model.faults[fault].enabled = false;
        let models = shards::models(self.options, &model);
        let worlds = models.len() as u32;
        let course = Course {
            what: Some(what),
            is_virtual: true,
            total: loads::length(self.options, &model),
            exporters: Vec::new(),
            is_watched: false,
            worlds: models.len(),
            watch: Stopwatch::start(),
        };
        let progress = Progress::new(course, self.is_shown);
        self.network.spawn(show_later(progress.line()));
        let stops = shards::followers(worlds, self.stop, self.network);
        let shortage = Shortage::default();
        let worlds = models.iter().zip(&stops).enumerate().map(|(number, (model, stop))| World {
            options: self.options,
            model,
            telemetry: self.telemetry,
            loaded: self.loaded.clone(),
            databases: Vec::new(),
            clock: Clock::virtual_from(start),
            pace: Pace::Virtual,
            is_recorded: self.is_recorded,
            network: self.network,
            listener: None,
            control: None,
            scraping: None,
            stop,
            shortage: &shortage,
            progress: progress.of_world(number),
            notes: Some(WorldTruth::remembered()),
            watched: Watched::default(),
        });
        let done = shards::simulate(worlds.collect(), None, |_| {});
        progress.line().finish();
        done
    }
}
