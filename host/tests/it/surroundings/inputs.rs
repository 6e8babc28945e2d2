//! Inputs and outputs that are no files are refused by name, or bounded.

use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Finished, Topology, finish, guest, simhost};

/// A folder with something of each kind in it.
struct Zoo {
    folder: tempfile::TempDir,
    _socket: UnixListener,
}

impl Zoo {
    fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = UnixListener::bind(folder.path().join("socket")).expect("a socket");
        let made = Command::new("mkfifo").arg(folder.path().join("pipe")).status();
        assert!(made.expect("mkfifo is there").success());
        std::fs::create_dir(folder.path().join("folder")).expect("a folder");
        Self { folder, _socket: socket }
    }

    /// Each thing, and what it is called.
    fn all(&self) -> [(PathBuf, &'static str); 5] {
        let here = |name: &str| self.folder.path().join(name);
        [
            (here("socket"), "a socket"),
            (here("pipe"), "a pipe to which nothing writes"),
            (here("folder"), "a folder"),
            ("/dev/zero".into(), "a device"),
            ("/dev/null".into(), "a device"),
        ]
    }
}

fn check(topology: &Path) -> Finished {
    finish(simhost().arg("check").arg(topology))
}

#[test]
fn a_topology_is_a_file() {
    let zoo = Zoo::open();
    for (path, kind) in zoo.all() {
        let finished = check(&path);
        let said = finished.told();
        let kind = if kind == "a folder" { "a directory" } else { kind };
        assert_eq!(finished.code, Some(2), "{said}");
        assert!(said.contains(&format!("{:?} is {kind}", path.display().to_string())), "{said}");
    }
}

#[test]
fn a_guest_is_a_file() {
    let zoo = Zoo::open();
    for (path, kind) in zoo.all() {
        let finished = Topology::probe().run(&[
            "--guest",
            &format!("front={}", path.display()),
            "--request",
            "GET /now",
        ]);
        let said = finished.told();
        assert_eq!(finished.code, Some(2), "{said}");
        assert!(said.contains(&format!("cannot be read: it is {kind}")), "{said}");
    }
}

#[test]
fn what_a_load_names_is_a_file() {
    let zoo = Zoo::open();
    for (path, kind) in zoo.all() {
        let path = path.display();
        for load in [
            format!("arrivals = {{ replay = '{path}' }}\nrequest = {{ path = '/now' }}"),
            format!(
                "arrivals = {{ constant = '1/s' }}\nrequest = {{ path = '/now?who={{who}}' }}\n\
                 values = {{ who = {{ names = '{path}' }} }}"
            ),
        ] {
            let topology = Topology::new(
                "loads",
                format!(
                    "[topology]\nname = 'loads'\n[services.front]\nguest = '{}'\n\
                 [[load]]\nname = 'load'\nto = 'front'\n{load}\n",
                    guest("tests/probe")
                ),
            );
            let finished = topology.run(&["--virtual", "--for", "1s"]);
            let said = finished.told();
            assert_eq!(finished.code, Some(2), "{said}");
            assert!(said.contains(&format!("it is {kind}")), "{said}");
        }
    }
}

#[test]
fn a_certificate_is_a_file() {
    let zoo = Zoo::open();
    for (path, kind) in zoo.all() {
        let topology = Topology::probe();
        let mut command = topology.command(&["--virtual", "--request", "GET /now"]);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:1");
        let finished = finish(command.env("OTEL_EXPORTER_OTLP_CERTIFICATE", &path));
        let said = finished.told();
        assert_eq!(finished.code, Some(2), "{said}");
        assert!(said.contains(&format!("it is {kind}")), "{said}");
    }
}

/// A shell's `<(…)`: it may be long in coming.
#[test]
fn a_topology_may_come_through_a_pipe() {
    let topology = Topology::probe();
    let mut child = simhost();
    let mut child = child
        .args(["check", "/dev/stdin"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let text = std::fs::read(topology.path()).expect("a topology");
    for piece in text.chunks(50) {
        stdin.write_all(piece).expect("it is read");
    }
    drop(stdin);
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn a_pipe_that_does_not_end_is_read_within_a_bound() {
    let topology = Topology::probe();
    let script = "cat /dev/zero | \"$0\" check";
    for arguments in ["/dev/stdin", "--guest front=/dev/stdin probe.toml"] {
        let mut command = Command::new("/bin/sh");
        command.env_clear().env("PATH", "/usr/bin:/bin").current_dir(topology.beside(""));
        let script = format!("{script} {arguments}");
        let finished = finish(command.args(["-c", &script]).arg(env!("CARGO_BIN_EXE_simhost")));
        let said = finished.told();
        assert_eq!(finished.code, Some(2), "{said}");
        assert!(said.contains("is larger than"), "{said}");
    }
}

#[test]
fn an_output_is_written_at_once_or_refused() {
    let zoo = Zoo::open();
    for flag in ["--out", "--truth"] {
        for (name, why) in [
            ("pipe", "it is a pipe that nothing reads"),
            ("socket", "No such device"),
            ("folder", "Is a directory"),
        ] {
            let path = zoo.folder.path().join(name).display().to_string();
            let finished = Topology::probe().run(&["--virtual", "--request", "GET /now", flag, &path]);
            let said = finished.told();
            assert_eq!(finished.code, Some(2), "{said}");
            assert!(said.contains(&format!("{flag} {path}: ")) && said.contains(why), "{said}");
        }
    }
    let path = zoo.folder.path().join("pipe").display().to_string();
    let topology = Topology::orders();
    let itself = topology.path().display().to_string();
    for command in [&["generate", "--services", "3"][..], &["graph", &itself]] {
        let finished = finish(simhost().args(command).args(["--out", &path]));
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(finished.told().contains("it is a pipe that nothing reads"), "{finished:?}");
    }
}

#[test]
fn a_pipe_that_is_read_is_an_output() {
    let zoo = Zoo::open();
    let path = zoo.folder.path().join("pipe");
    let reader = std::thread::spawn({
        let path = path.clone();
        move || std::fs::read_to_string(path).expect("records")
    });
    // Opened for good only now that there is a reader: the writer waits for it here.
    let held = std::fs::File::options().write(true).open(&path).expect("a reader");
    let path = path.display().to_string();
    let finished = Topology::probe().run(&["--virtual", "--request", "GET /now", "--out", &path]);
    finished.success();
    drop(held);
    let records = reader.join().expect("a reader");
    assert!(records.contains("GET /now"), "{records}");
}
