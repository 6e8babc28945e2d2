//! Starts the program as its users do: as a process, with an environment of its own.

use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use serde_json::Value;

use super::PATIENCE;

/// The program, with nothing of the tester's environment but the way to `kill`
/// and its like, and a cache of compiled guests that belongs to the build. It makes no metrics:
/// what is tested of other signals is not to depend on them. [`METRICS`] has the variable.
pub fn simhost() -> Command {
    program(Path::new(env!("CARGO_BIN_EXE_simhost")))
}

/// A build of the program, started as [`simhost`] starts the one that is tested.
fn program(path: &Path) -> Command {
    let mut command = Command::new(path);
    command
        .env_clear()
        .env(METRICS, "none")
        .env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"));
    command.stdin(Stdio::null());
    command
}

/// The variable that names another build of the program: `.ci/run release` sets it.
const OTHER: &str = "SIMHOST_OTHER_BINARY";

/// The program as another build has it: other optimisation, another compiler.
pub fn other_build() -> Command {
    let other = std::env::var_os(OTHER).unwrap_or_else(|| panic!("{OTHER} names no other build"));
    // Runs have a folder of their own, so the name must hold everywhere.
    let other =
        std::fs::canonicalize(&other).unwrap_or_else(|error| panic!("{OTHER} {}: {error}", other.display()));
    program(&other)
}

/// A command in the other build's words.
pub fn otherwise(command: &Command) -> Command {
    let mut other = other_build();
    other.args(command.get_args());
    for (key, value) in command.get_envs() {
        if let Some(value) = value {
            other.env(key, value);
        }
    }
    other
}

/// Says where metrics go. Empty, it says nothing, so that they go wherever spans do.
pub const METRICS: &str = "OTEL_METRICS_EXPORTER";

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

    /// The document on its standard output.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The words on its standard error, in one line: long messages are wrapped, and may have a frame.
    pub fn told(&self) -> String {
        self.stderr.replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// It has said all of this on standard error.
#[track_caller]
pub fn said(finished: &Finished, words: &[&str]) {
    let told = finished.told();
    for word in words {
        assert!(told.contains(word), "{word:?} is missing in:\n{}", finished.stderr);
    }
}

/// It was refused for all of these reasons: exit code 2, and nothing on standard output.
#[track_caller]
pub fn refused(finished: &Finished, words: &[&str]) {
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{}", finished.stderr);
    said(finished, words);
}

/// Runs a command to its end.
pub fn finish(command: &mut Command) -> Finished {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the program starts");
    let stderr = read_all(child.stderr.take().expect("a pipe"));
    wait(&mut child, &stderr)
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

/// Closes what a shell of POSIX can name of the files that it inherited.
const CLOSE_OTHERS: &str = "exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-";

/// A command that the shell starts when it has run a script. It inherits no file but its three, whatever
/// started the tests left open: a script may bound what can be opened.
pub fn in_shell(script: &str, program: &Command) -> Command {
    let mut command = Command::new("/bin/sh");
    command.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = program.get_current_dir() {
        command.current_dir(folder);
    }
    command.stdin(Stdio::null()).args(["-c", &format!("{CLOSE_OTHERS}; {script}; exec \"$@\""), "sh"]);
    command.arg(program.get_program()).args(program.get_args());
    command
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

pub fn read_all(mut from: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        from.read_to_end(&mut text).expect("a pipe can be read");
        send.send(String::from_utf8_lossy(&text).into_owned()).ok();
    });
    receive
}
