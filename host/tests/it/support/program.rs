//! Another program, such as a Collector, that runs for one test and is waited for by the wall clock.
#![allow(clippy::disallowed_methods, reason = "another process is waited for by the wall clock")]

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

/// For anything that a program on a busy machine has to get done. In peace it
/// takes 50 ms to start and a second to write; a tail sampler waits for 30 s.
const PATIENCE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(20);
/// The program may find that another process has taken its port meanwhile.
const ATTEMPTS: usize = 3;

/// A running program, killed with this value.
pub struct Program {
    process: Child,
    folder: TempDir,
}

impl Program {
    /// Starts what `command` makes of a folder and of addresses that are free. It is ready when the first
    /// of them answers a GET of `ready` with 200.
    pub fn start<const N: usize>(
        ready: &str,
        command: impl Fn(&Path, &[SocketAddr; N]) -> Command,
    ) -> (Self, [SocketAddr; N]) {
        for _ in 0..ATTEMPTS {
            let folder = TempDir::new().expect("a temporary folder");
            let addresses = free_addresses();
            let command = command(folder.path(), &addresses);
            if let Some(program) = Self::spawn(command, folder, addresses[0], ready) {
                return (program, addresses);
            }
        }
        panic!("the program did not start, {ATTEMPTS} times");
    }

    /// None when it ended before it was ready.
    fn spawn(mut command: Command, folder: TempDir, asked: SocketAddr, ready: &str) -> Option<Self> {
        let log = File::create(folder.path().join("log")).expect("a log file");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let process = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let mut program = Self { process, folder };
        let deadline = Instant::now() + PATIENCE;
        while !answers_ok(asked, ready) {
            if let Some(status) = program.process.try_wait().expect("the state of a child") {
                eprintln!("{command:?} ended with {status}:\n{}", program.read("log"));
                return None;
            }
            assert!(Instant::now() < deadline, "{command:?} is not ready:\n{}", program.read("log"));
            thread::sleep(POLL);
        }
        Some(program)
    }

    /// Asks again until there is an answer. The error says what is missing.
    #[track_caller]
    pub fn until<T>(&self, check: impl Fn() -> Result<T, String>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match check() {
                Ok(found) => return found,
                Err(missing) if Instant::now() > deadline => {
                    panic!("{missing}\nThe program says:\n{}", self.read("log"))
                }
                Err(_) => thread::sleep(POLL),
            }
        }
    }

    /// A file of its folder; empty where there is none yet.
    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.folder.path().join(file)).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may be dead already, and there is nothing to save.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program that the variable names, which then has to be there; else the first of these files that is.
pub fn find(variable: &str, places: impl IntoIterator<Item = PathBuf>) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(variable) {
        let named = PathBuf::from(named);
        assert!(named.is_file(), "{variable} is {}, which is not a file", named.display());
        return Some(named);
    }
    places.into_iter().find(|place| place.is_file())
}

/// The time of this machine, as other programs have it: since the epoch.
pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970")
}

/// Free at this moment. Held together until all are known, so that they differ.
fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("its address"))
}

fn answers_ok(address: SocketAddr, path: &str) -> bool {
    get(address, path).is_ok_and(|(status, _)| status == 200)
}

/// Sends a GET by HTTP/1.0, so that no answer comes in chunks. Returns its status and its body.
pub fn get(address: SocketAddr, target: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {target} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.unwrap_or(0), body.to_owned()))
}
