//! A [`World`](super::World) that serves real requests, until it is stopped.

use std::fs;
use std::ops::Deref;
use std::process::Command;

use tempfile::TempDir;

use super::client::Client;
use super::cost;
use super::server::Server;
use super::telemetry::Records;
use super::world::{OUT, Run};

/// A running simhost. One that is not stopped is killed.
pub struct Serving {
    pub client: Client,
    /// Where its faults are switched, if `--control` asks for that.
    pub control: Option<Client>,
    /// Where Prometheus scrapes it, if the environment asks for that.
    pub metrics: Option<Client>,
    server: Server,
    folder: TempDir,
}

impl Serving {
    pub(super) fn start(folder: TempDir, mut command: Command) -> Self {
        // A run in virtual time opens no door: what it serves is its control or its metrics alone.
        let has = |wanted: &str| command.get_args().any(|flag| flag == wanted);
        let server = match (has("--virtual"), has("--control")) {
            (false, _) => Server::spawn(&mut command),
            (true, true) => Server::controlled(&mut command),
            (true, false) => Server::scraped(&mut command),
        };
        let client = Client(server.address);
        let (control, metrics) = (server.control.map(Client), server.metrics.map(Client));
        Self { client, control, metrics, server, folder }
    }

    /// The most memory that it has had so far: bytes; 0 where that is not known.
    pub fn memory(&self) -> u64 {
        cost::memory(self.server.id()).unwrap_or(0)
    }

    /// Interrupts the run as ctrl-c does, and waits for its orderly end.
    pub fn stop(self) -> Run {
        self.interrupt();
        self.ended()
    }

    /// Interrupts the run as ctrl-c does.
    pub fn interrupt(&self) {
        self.server.signal("-INT");
    }

    /// Waits for the orderly end of the run.
    pub fn ended(self) -> Run {
        let finished = self.server.ended();
        let report = finished.success().to_owned();
        let bytes = fs::read_to_string(self.folder.path().join(OUT)).expect("simhost writes its records");
        let records = Records::parse(&bytes);
        let told = finished.told();
        Run { answers: Vec::new(), report, told, stdout: finished.stdout, records, bytes }
    }
}

/// A server takes requests as its client sends them.
impl Deref for Serving {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}
