//! A run that listens.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;

use rustix::process::{Pid, WaitOptions, waitpid};

use super::http::Connection;
use super::process::{Finished, read_all};
use super::{PATIENCE, Topology, telemetry};

/// A run whose door is open. It is killed when it is dropped.
pub struct Server {
    child: Child,
    /// Lines of standard error, as they come.
    lines: Receiver<String>,
    said: String,
    stdout: Option<Receiver<String>>,
    /// Standard output that nobody reads.
    unread: Option<ChildStdout>,
    pub address: SocketAddr,
    /// Where its faults are switched, if `--control` asks for that.
    pub control: Option<SocketAddr>,
    /// Where Prometheus scrapes it, if the environment asks for that.
    pub metrics: Option<SocketAddr>,
}

/// What a run says when its door is open, and when its control is.
const LISTENING: &str = "listening on http://";
const CONTROL: &str = "control on http://";
const SCRAPED: &str = "metrics on http://";

impl Server {
    pub fn start(topology: &Topology, arguments: &[&str]) -> Self {
        Self::spawn(topology.command(arguments).args(["--listen", "127.0.0.1:0"]))
    }

    /// Starts it with its records written beside the topology.
    pub fn recorded(topology: &Topology) -> Self {
        Self::start(topology, &["--out", "records.jsonl"])
    }

    pub fn spawn(command: &mut Command) -> Self {
        let mut server = Self::launch(command);
        let line = server.wait_for(LISTENING);
        server.address = address(&line, LISTENING).expect("an address");
        server.control = server.said.lines().find_map(|line| address(line, CONTROL));
        server.metrics = server.said.lines().find_map(|line| address(line, SCRAPED));
        server
    }

    /// Starts a run that listens nowhere but where its faults are switched.
    pub fn controlled(command: &mut Command) -> Self {
        let mut server = Self::launch(command);
        let line = server.wait_for(CONTROL);
        server.address = address(&line, CONTROL).expect("an address");
        server.control = Some(server.address);
        server
    }

    /// Starts a run that listens nowhere but where Prometheus scrapes it.
    pub fn scraped(command: &mut Command) -> Self {
        let mut server = Self::launch(command);
        let line = server.wait_for(SCRAPED);
        server.address = address(&line, SCRAPED).expect("an address");
        server.metrics = Some(server.address);
        server
    }

    /// Starts a run that need not listen.
    pub fn launch(command: &mut Command) -> Self {
        let mut server = Self::started(command);
        server.stdout = server.child.stdout.take().map(read_all);
        server
    }

    fn started(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.expect("the program starts");
        let (send, lines) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                send.send(line).ok();
            }
        });
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        Self {
            child,
            lines,
            said: String::new(),
            stdout: None,
            unread: None,
            address,
            control: None,
            metrics: None,
        }
    }

    /// Starts the server, and reads nothing of what it writes to standard output.
    pub fn launch_unread(command: &mut Command) -> Self {
        let mut server = Self::started(command);
        server.unread = server.child.stdout.take();
        server
    }

    /// Waits until the pipe of its standard output has room for nothing more.
    pub fn wait_until_blocked(&self) {
        // A pipe has 16 pages, of which the last may not be full.
        const FULL: u64 = 60_000;
        let pipe = self.unread.as_ref().expect("it is not read");
        while rustix::io::ioctl_fionread(pipe).expect("a pipe") < FULL {
            let has_ended = self.lines.try_recv().is_err_and(|why| why == TryRecvError::Disconnected);
            assert!(!has_ended, "the run has ended");
            thread::yield_now();
        }
        // In virtual time the first thread sleeps only when it waits for the pipe.
        let path = format!("/proc/{}/stat", self.child.id());
        let is_asleep = || {
            let stat = std::fs::read_to_string(&path).unwrap_or_default();
            stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('S'))
        };
        let mut times = 0;
        while times < 10_000 {
            times = if is_asleep() { times + 1 } else { 0 };
            thread::yield_now();
        }
    }

    /// Sends a signal again and again: two that come at once may be one.
    pub fn signal_until_ended(mut self, signal: &str) -> Finished {
        while self.child.try_wait().expect("a child").is_none() {
            self.signal(signal);
            thread::yield_now();
        }
        self.ended()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// Waits for a line on standard error that begins so.
    pub fn wait_for(&mut self, beginning: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no line {beginning:?} in:\n{}", self.said));
            self.said.push_str(&line);
            self.said.push('\n');
            if line.starts_with(beginning) {
                return line;
            }
        }
    }

    /// Sends a signal: `-INT` is what ctrl-c does.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill is there").success());
    }

    /// Sends signals that come at once, however long it takes to send them: all of them wait until the
    /// process goes on. Of equal ones the system keeps one.
    pub fn signals_at_once(&self, signals: &[&str]) {
        self.signal("-STOP");
        let stopped = waitpid(Some(Pid::from_child(&self.child)), WaitOptions::UNTRACED);
        let stopped = stopped.expect("a child").is_some_and(|(_, status)| status.stopped());
        assert!(stopped, "the run has ended");
        signals.iter().for_each(|signal| self.signal(signal));
        self.signal("-CONT");
    }

    /// Waits for the end.
    pub fn ended(mut self) -> Finished {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.said.push_str(&line);
            self.said.push('\n');
        }
        let stdout = self.stdout.take().map(|stdout| stdout.recv_timeout(PATIENCE));
        let stdout = stdout.map_or_else(String::new, |stdout| stdout.expect("the run ends in time"));
        let code = self.child.wait().expect("the run ends").code();
        Finished { code, stdout, stderr: std::mem::take(&mut self.said) }
    }

    /// Ends it in good order.
    pub fn stop(self) -> Finished {
        self.signal("-INT");
        self.ended()
    }

    /// Ends it in good order, and reads the records that it left.
    pub fn spans(self, topology: &Topology) -> Vec<telemetry::Span> {
        self.stop().success();
        telemetry::read(&std::fs::read_to_string(topology.beside("records.jsonl")).expect("records"))
    }
}

/// The address behind the beginning of a line.
fn address(line: &str, beginning: &str) -> Option<SocketAddr> {
    line.strip_prefix(beginning)?.split(' ').next()?.parse().ok()
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail when it has ended, as it should have.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
