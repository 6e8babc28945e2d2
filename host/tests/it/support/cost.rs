//! What a run costs its machine: the most memory that its process ever had.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Between two looks at a process.
const LOOK: Duration = Duration::from_millis(2);

/// Runs a command to its end: what it prints on standard output, and the most memory that it
/// had, in bytes; 0 where that is not known.
pub fn of(mut command: Command) -> (String, u64) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut pipe = child.stdout.take().expect("standard output is a pipe");
    let (end, ended) = channel();
    thread::spawn(move || {
        let mut text = String::new();
        end.send(pipe.read_to_string(&mut text).map(|_| text)).ok();
    });
    let mut most = 0;
    let text = loop {
        match ended.recv_timeout(LOOK) {
            Err(RecvTimeoutError::Timeout) => most = most.max(memory(child.id()).unwrap_or(0)),
            text => break text,
        }
    };
    child.wait().expect("it ends");
    (text.expect("it ends").expect("text"), most)
}

/// The most memory that a process ever had, in bytes, where that is known.
pub fn memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib << 10)
}
