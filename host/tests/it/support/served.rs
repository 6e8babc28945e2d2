//! A run that serves real requests, until it is stopped.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::ops::Deref;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::cost::{self, Cost};
use super::http::Client;
use super::telemetry::Records;
use super::{OUT, PATIENCE, Run};

/// A running simhost. One that is not stopped is killed.
#[derive(Debug)]
pub struct Server {
    pub client: Client,
    /// Where its faults are switched, if `--control` asks for that.
    pub control: Option<Client>,
    process: Child,
    folder: TempDir,
    /// Lines of standard error; closed when the process has ended.
    said: Receiver<String>,
}

impl Server {
    pub(super) fn start(folder: TempDir, mut command: Command) -> Self {
        let is_virtual = command.get_args().any(|flag| flag == "--virtual");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("simhost starts");
        let stderr = process.stderr.take().expect("standard error is a pipe");
        let (say, said) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // Who has stopped the server does not listen any more.
                say.send(line).ok();
            }
        });
        let (address, control) = listening(&said, is_virtual);
        Self { client: Client(address), control: control.map(Client), process, folder, said }
    }

    /// What it has cost so far.
    pub fn cost(&self) -> Cost {
        cost::so_far(self.process.id())
    }

    /// Interrupts the run as ctrl-c does, and waits for its orderly end.
    pub fn stop(self) -> Run {
        self.interrupt();
        self.ended()
    }

    /// Interrupts the run as ctrl-c does.
    pub fn interrupt(&self) {
        kill_process(Pid::from_child(&self.process), Signal::INT).expect("simhost still runs");
    }

    /// Waits for the orderly end of the run.
    pub fn ended(mut self) -> Run {
        let mut last = Vec::new();
        loop {
            match self.said.recv_timeout(PATIENCE) {
                Ok(line) => last.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("simhost does not end: {last:?}"),
            }
        }
        let mut stdout = String::new();
        let pipe = self.process.stdout.as_mut().expect("standard output is a pipe");
        pipe.read_to_string(&mut stdout).expect("standard output is text");
        let status = self.process.wait().expect("simhost has ended");
        assert!(status.success(), "{status}: {last:?}");
        let bytes = fs::read_to_string(self.folder.path().join(OUT)).expect("simhost writes its records");
        Run { answers: Vec::new(), report: stdout.clone(), stdout, records: Records::parse(&bytes), bytes }
    }
}

/// Waits for `listening on http://ADDRESS for …`; with what `control on` says before,
/// which is all that a run says whose time is virtual.
fn listening(said: &Receiver<String>, is_virtual: bool) -> (SocketAddr, Option<SocketAddr>) {
    let mut before = Vec::new();
    let mut control = None;
    loop {
        let line =
            said.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("simhost does not listen: {before:?}"));
        let address = line.strip_prefix("listening on http://").and_then(|rest| rest.split(' ').next());
        if let Some(address) = line.strip_prefix("control on http://") {
            let address = address.parse().expect("an address and a port");
            if is_virtual {
                return (address, Some(address));
            }
            control = Some(address);
        }
        match address {
            Some(address) => return (address.parse().expect("an address and a port"), control),
            None => before.push(line),
        }
    }
}

/// A server takes requests as its client sends them.
impl Deref for Server {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, unless the test has failed.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
