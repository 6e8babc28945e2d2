//! What standard error says while a run goes on.

use std::time::Duration;

use crate::error::{Look, printable};
use crate::progress;
use crate::report::words;
use crate::run::{Plan, RunEvent};
use crate::self_telemetry::Unsent;
use crate::telemetry::env;

use super::{complain, say};

/// How long a run in virtual time took is of interest from here on.
const WORTH_TELLING: Duration = Duration::from_secs(1);

/// Says what may be a mistake, and what a person should know before the run.
pub fn tell_doubts(plan: &Plan) {
    say(&plan.warnings().render(Look::of_stderr()));
    let set = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for note in plan.notes().iter().chain(&env::misspelt(set)) {
        complain("note", note, None);
    }
}

/// Says what happens.
pub fn tell(event: RunEvent) {
    match event {
        RunEvent::Compiling { guest, bytes } => {
            let megabytes = bytes as f64 / 1e6;
            say(&format!("compiling {} ({megabytes:.1} MB) …\n", printable(&guest)));
        }
        RunEvent::Listening { address, to } => {
            say(&format!("listening on http://{address} for {to}; ctrl-c ends the run\n"));
        }
        RunEvent::Idle { curl, load } => {
            let load = load.map(|name| format!("start one with --load {name}=on, or "));
            let load = load.unwrap_or_default();
            say(&printable(&format!("no load runs: {load}send a request:\n  {curl}\n")));
        }
        RunEvent::Control { address } => say(&format!("control on http://{address}\n")),
        RunEvent::Prometheus { address } => say(&format!("metrics on http://{address} for Prometheus\n")),
        RunEvent::Clash(clash) => {
            let help = "rename it or its attributes; the report has all such metrics";
            complain("warning", &clash.to_string(), Some(help));
        }
        RunEvent::Draining => say("finishing what is under way; ctrl-c again quits at once\n"),
        RunEvent::Trouble { exporter, trouble } => {
            let again = if trouble.is_permanent { "" } else { ", and tries again" };
            let (kind, message) =
                (if trouble.is_permanent { "lasting trouble" } else { "trouble" }, trouble.message);
            complain("warning", &format!("{exporter} has {kind}{again}: {message}"), None);
        }
        RunEvent::Simulated { simulated, took } if took >= WORTH_TELLING => {
            let factor = words::number(progress::factor(simulated, took));
            let (simulated, took) = (words::time(simulated), words::time(crate::clock::nanos(took)));
            say(&format!("simulated {simulated} in {took}, {factor} times real time\n"));
        }
        RunEvent::Comparing { faults, took } if took >= WORTH_TELLING => {
            let what = match faults {
                None => "running again for the truth".to_owned(),
                Some(1) => "running once more without the fault, for the truth".to_owned(),
                Some(faults) => format!("running once more without each of {faults} faults, for the truth"),
            };
            say(&format!("{what}; ctrl-c leaves that out\n"));
        }
        RunEvent::Uncompared => {
            complain("note", "the run was interrupted: the truth has no comparison (causes: null)", None);
        }
        RunEvent::Shortage { reason } => {
            let help = "raise the system's limit (ulimit -n), or lower limits.connections";
            complain("warning", &format!("new connections wait: {reason}"), Some(help));
        }
        RunEvent::Simulated { .. } | RunEvent::Comparing { .. } => {}
        RunEvent::Unsent(Unsent { spans, metrics, why }) => {
            let spans = (spans > 0).then(|| words::counted(spans, "span"));
            let metrics = metrics.then(|| "the last metrics".to_owned());
            let lost: Vec<_> = spans.into_iter().chain(metrics).collect();
            let lost = lost.join(" and ");
            let what =
                format!("the receiver did not take all of simhost's own telemetry: {lost} are lost: {why}");
            let help = "no record of the run is concerned; leave out --self-telemetry if nobody wants it";
            complain("warning", &what, Some(help));
        }
        RunEvent::Flushing { patience, is_told } => {
            let patience = crate::clock::show(crate::clock::nanos(patience));
            let signal = if is_told { "ctrl-c again quits at once" } else { "ctrl-c ends the wait" };
            say(&format!(
                "waiting for the records to be taken, for up to {patience} while none is\n  {signal}\n"
            ));
        }
    }
}
