//! What a run says of itself while it goes on.

use std::net::SocketAddr;
use std::time::Duration;

use crate::model::Nanos;
use crate::prometheus::clash::Clash;
use crate::self_telemetry::Unsent;
use crate::telemetry::exporter::Trouble;

/// What happens in a run that a person may want to know at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEvent {
    /// A guest is being compiled, and it takes a while. The number is its size in bytes.
    Compiling { guest: String, bytes: usize },
    /// The ingress is open.
    Listening { address: SocketAddr, to: String },
    /// No load makes requests in a run that listens: a command that sends one, and the name of
    /// a load that is off.
    Idle { curl: String, load: Option<String> },
    /// Faults can be switched there.
    Control { address: SocketAddr },
    /// Prometheus can scrape metrics there.
    Prometheus { address: SocketAddr },
    /// A page for Prometheus cannot have a metric, for the first time.
    Clash(Clash),
    /// Told to stop: what is under way is finished.
    Draining,
    /// An exporter cannot get rid of its records, for the first time; and for the first
    /// time for good.
    Trouble { exporter: String, trouble: Trouble },
    /// How much time a run in virtual time has simulated, and how long it took.
    Simulated { simulated: Nanos, took: Duration },
    /// The run is made once more without each of `faults` faults; none where nobody is to know how
    /// many there are. The first one took `took`.
    Comparing { faults: Option<usize>, took: Duration },
    /// An interruption has left out what faults have caused.
    Uncompared,
    /// The system gives no more connections: they wait.
    Shortage { reason: String },
    /// The receiver has not taken all of the simulator's own telemetry.
    Unsent(Unsent),
    /// The run is over, and its records are not yet taken: they are waited for while some
    /// are, and then for `patience`. A signal ends the wait; where the run `is_told` to stop already, it
    /// ends the process.
    Flushing { patience: Duration, is_told: bool },
}
