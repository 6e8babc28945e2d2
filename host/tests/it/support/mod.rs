//! Whole runs of the program, started as its users start it: as a process, with
//! an environment of its own, on ports that the system chooses.

#![allow(dead_code, reason = "each file of tests uses a part of it")]

pub mod http;
pub mod server;
pub mod shipped;
pub mod trace;

use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// No run of a test takes longer; one that does is killed.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// An order that succeeds.
pub const ORDER: &str = r#"POST /orders {"item":"book","quantity":2,"price":9.99}"#;

/// The program, with nothing of the tester's environment but the way to `kill`
/// and its like, and a cache of compiled guests that belongs to the build.
pub fn simhost() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simhost"));
    command.env_clear().env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"));
    command.stdin(Stdio::null());
    command
}

/// A component of `guests/dist/`: `payment`, `tests/probe`.
pub fn guest(name: &str) -> String {
    format!("{}/../guests/dist/{name}.wasm", env!("CARGO_MANIFEST_DIR"))
}

/// A topology in a file of its own, gone with this value.
pub struct Topology {
    folder: tempfile::TempDir,
    name: String,
    text: String,
}

impl Topology {
    /// The orders topology that ships.
    pub fn orders() -> Self {
        let path = format!("{}/../topologies/orders.toml", env!("CARGO_MANIFEST_DIR"));
        Self::new("orders", std::fs::read_to_string(path).expect("the orders topology"))
    }

    /// Two probes, `front` at the door and `back` behind it.
    pub fn probe() -> Self {
        let text = format!(
            "\n[topology]\nname = \"probe\"\n\n[limits]\n\n[ingress]\nlisten = \"127.0.0.1:0\"\nto = \"front\"\n\n\
             [network]\nlatency = \"300us\"\ntimer-slack = \"0s\"\n\n[services.front]\nguest = {probe:?}\nconfig = {{ next = \"back\" }}\n\n\
             [services.back]\nguest = {probe:?}\n\n",
            probe = guest("tests/probe")
        );
        Self::new("probe", text)
    }

    /// Likewise with `legacy`, a real server.
    pub fn with_legacy(self, url: &str) -> Self {
        self.with("[limits]", &format!("[services.legacy]\nurl = {url:?}\n"))
    }

    pub fn new(name: &str, text: impl Into<String>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let topology = Self { folder, name: name.to_owned(), text: text.into() };
        topology.write();
        topology
    }

    /// Puts `more` below the line `line`.
    pub fn with(mut self, line: &str, more: &str) -> Self {
        let line = format!("\n{line}\n");
        assert_eq!(self.text.matches(&line).count(), 1, "{line:?} is there once");
        self.text = self.text.replace(&line, &format!("{line}{more}\n"));
        self.write();
        self
    }

    fn write(&self) {
        std::fs::write(self.path(), &self.text).expect("a topology");
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join(format!("{}.toml", self.name))
    }

    /// A file beside the topology.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `simhost run` of it with `arguments`, started in its folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = simhost();
        command.current_dir(self.folder.path());
        command.arg("run").arg(format!("{}.toml", self.name)).args(arguments);
        command
    }

    /// Likewise, after a script of the shell: `ulimit -n 16`.
    #[cfg(unix)]
    pub fn in_shell(&self, script: &str, arguments: &[&str]) -> Command {
        in_shell(script, &self.command(arguments))
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        finish(&mut self.command(arguments))
    }

    /// Runs it in virtual time to its end; with the bytes of `--out`.
    pub fn records(&self, arguments: &[&str]) -> (Finished, String) {
        self.records_of(&mut self.command(arguments))
    }

    /// Likewise, of a command that was made for it.
    pub fn records_of(&self, command: &mut Command) -> (Finished, String) {
        let finished = finish(command.args(["--virtual", "--out", "records.jsonl"]));
        let records = std::fs::read_to_string(self.beside("records.jsonl"));
        let records = records.unwrap_or_else(|error| panic!("{error}, after {finished:?}"));
        (finished, records)
    }
}

/// Runs a command until it has written a record to standard output, and then tells
/// it to stop, as ctrl-c does; with all that it wrote there.
pub fn interrupt(command: &mut Command) -> (Finished, String) {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the program starts");
    let stderr = read_all(child.stderr.take().expect("a pipe"));
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut records = String::new();
    stdout.read_line(&mut records).expect("a line");
    let told = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(told.expect("kill is there").success());
    stdout.read_to_string(&mut records).expect("the rest");
    (wait(&mut child, &stderr), records)
}

/// The most memory that a process ever had, in bytes, where that is known.
pub fn peak_memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib << 10)
}

/// A command that the shell starts when it has run a script.
#[cfg(unix)]
pub fn in_shell(script: &str, program: &Command) -> Command {
    let mut command = Command::new("/bin/sh");
    command.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = program.get_current_dir() {
        command.current_dir(folder);
    }
    command.stdin(Stdio::null()).args(["-c", &format!("{script}; exec \"$@\""), "sh"]);
    command.arg(program.get_program()).args(program.get_args());
    command
}

/// A run that has ended.
#[derive(Debug)]
pub struct Finished {
    /// None when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// What it printed, of a run that ended well.
    pub fn success(&self) -> &str {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        &self.stdout
    }
}

/// Does something with each item, with as many at a time as there are processors; what
/// came of it, in the order of the items.
pub fn at_once<T: Sync, R: Send>(items: &[T], one: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((at, item)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            items.get(at).map(|item| (at, item))
        } {
            done.push((at, one(item)));
        }
        done
    };
    let mut done = thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let done = workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        done.collect::<Vec<_>>()
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Runs a command to its end.
pub fn finish(command: &mut Command) -> Finished {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the program starts");
    let stderr = read_all(child.stderr.take().expect("a pipe"));
    wait(&mut child, &stderr)
}

/// Waits for the end of a child whose standard error is being read.
fn wait(child: &mut Child, stderr: &mpsc::Receiver<String>) -> Finished {
    let stdout = child.stdout.take().map(read_all);
    let stderr = stderr.recv_timeout(PATIENCE);
    if stderr.is_err() {
        child.kill().expect("the program can be ended");
    }
    let stderr = stderr.expect("the program ends in time");
    let stdout = stdout.map_or_else(String::new, |stdout| stdout.recv().expect("a reader"));
    let code = child.wait().expect("the program ends").code();
    Finished { code, stdout, stderr }
}

fn read_all(mut from: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        from.read_to_end(&mut text).expect("a pipe can be read");
        send.send(String::from_utf8_lossy(&text).into_owned()).ok();
    });
    receive
}
