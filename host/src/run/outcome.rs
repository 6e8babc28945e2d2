//! What a run leaves behind, and why one may fail.

use std::net::SocketAddr;

use simhost_sql::Database;

use crate::fault::impact::OutsideRequest;
use crate::model::Nanos;
use crate::report::Report;

use super::requests::Reply;

/// A run that came to its end.
#[derive(Debug)]
pub struct RunOutcome {
    /// Answers to the requests of the command line, in order.
    pub replies: Vec<Reply>,
    /// Traces that were kept to be printed behind the answers.
    pub page: Vec<u8>,
    /// Traces were shown, on the page or before.
    pub traces: bool,
    pub report: Report,
    /// Requests from outside, in the order in which they were due, where
    /// [`Options::remembers`](super::Options) or the truth asks for them.
    pub requests: Vec<OutsideRequest>,
    /// Requests that were too many to be kept there.
    pub forgotten: u64,
    /// The databases as they are when the run is over, in the order of the topology, where
    /// [`Options::keeps_databases`](super::Options) asks for them. What was not committed is rolled back.
    pub databases: Vec<Database>,
    /// When it was over: nanoseconds since the Unix epoch.
    pub end: Nanos,
    /// Why the run was not all that it was to be, although it has a report.
    pub failures: Vec<Failure>,
}

/// Something that a run could not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub what: String,
    /// What to do about it.
    pub help: &'static str,
}

/// A run that could not be done, although its input is good.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("{address} is already in use")]
    PortInUse { address: SocketAddr },
    #[error("cannot listen on {address}: {error}")]
    Listen { address: SocketAddr, error: std::io::Error },
    #[error("cannot listen on {address}: {error}")]
    Control { address: SocketAddr, error: std::io::Error },
    #[error("cannot listen on {address} for Prometheus: {error}")]
    Prometheus { address: String, error: std::io::Error },
    #[error("the operating system refuses what simhost needs: {0}")]
    System(#[from] std::io::Error),
    #[error(transparent)]
    Refused(#[from] crate::error::Refused),
    /// The run has a report, but whoever asked cannot use one of a part.
    #[error("{}", .0.what)]
    Partial(Failure),
}

impl RunError {
    /// What to do about it.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::PortInUse { .. } => Some(
                "stop what listens there, or choose another address: --listen 127.0.0.1:0 takes any free port",
            ),
            Self::Listen { .. } => {
                Some("choose an address of this machine and a port above 1023: --listen 127.0.0.1:8001")
            }
            Self::Control { .. } => {
                Some("choose another port of this machine: --control 127.0.0.1:0 takes any free one")
            }
            Self::Prometheus { .. } => Some(
                "choose another port with OTEL_EXPORTER_PROMETHEUS_PORT, 0 for any that is free, or another host with \
                 OTEL_EXPORTER_PROMETHEUS_HOST",
            ),
            Self::Partial(failure) => Some(failure.help),
            // EMFILE and ENFILE.
            Self::System(error) if matches!(error.raw_os_error(), Some(23 | 24)) => {
                Some("raise the limit of open files, for example: ulimit -n 1024")
            }
            Self::System(_) | Self::Refused(_) => None,
        }
    }
}
