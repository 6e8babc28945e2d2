//! What a run costs its machine: the most memory that its process ever had, and the time
//! for which it kept processors busy.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// Between two looks at a process.
const LOOK: Duration = Duration::from_millis(2);

/// The ticks of `/proc/PID/stat`, by which Linux counts for every architecture of ours.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// The most memory that it had: bytes.
    pub memory: u64,
    /// The time of processors: seconds.
    pub processor: f64,
}

/// What a running process has cost so far.
pub fn so_far(process: u32) -> Cost {
    Cost { memory: memory(process).unwrap_or(0), processor: processor(process).unwrap_or(0.0) }
}

/// Runs a command to its end: what it prints on standard output, and what it cost.
pub fn of(mut command: Command) -> (String, Cost) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut pipe = child.stdout.take().expect("standard output is a pipe");
    let reading = thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).map(|_| text)
    });
    let id = child.id();
    let pid = Pid::from_child(&child);
    let (end, ended) = channel();
    let waiting = thread::spawn(move || {
        // It stays there, as a zombie, until it was looked at.
        let how = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        end.send(waitid(WaitId::Pid(pid), how).is_ok()).ok();
    });
    let mut cost = Cost::default();
    while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        cost.memory = cost.memory.max(memory(id).unwrap_or(0));
    }
    cost.processor = processor(id).unwrap_or(0.0);
    waiting.join().expect("it ends");
    child.wait().expect("it has ended");
    (reading.join().expect("it ends").expect("text"), cost)
}

/// The most memory that a process ever had, in bytes, where that is known.
pub fn memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib << 10)
}

fn processor(process: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Behind the name, which may hold anything, in parentheses.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(ticks as f64 / TICKS_PER_SECOND)
}
