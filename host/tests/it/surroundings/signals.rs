//! SIGINT and SIGTERM end the program whatever it does: the first in good order, the
//! second at once. That the exit code is 130 shows that the signal was caught: one that
//! is not does nothing to the first process of a container.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::component::{component, module};
use crate::support::server::Server;
use crate::support::{PATIENCE, Topology, finish, interrupt, said, simhost};

fn signal(process: &Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &process.id().to_string()]).status();
    assert!(sent.expect("kill is there").success());
}

/// Waits for the end; none if a signal ended it.
fn code(mut child: Child) -> Option<i32> {
    let (tell, told) = std::sync::mpsc::channel();
    let id = child.id();
    std::thread::spawn(move || tell.send(child.wait().expect("it ends").code()).ok());
    told.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        Command::new("kill").args(["-KILL", &id.to_string()]).status().ok();
        panic!("it does not end")
    })
}

/// Sends the signal as soon as the program catches it. A signal that comes earlier ends it too.
fn when_caught(child: &Child) {
    let path = format!("/proc/{}/status", child.id());
    let caught = |status: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
        u64::from_str_radix(line.trim(), 16).ok()
    };
    // Bit 14 is SIGTERM.
    while std::fs::read_to_string(&path)
        .ok()
        .and_then(|status| caught(&status))
        .is_some_and(|set| set & 1 << 14 == 0)
    {
        std::thread::yield_now();
    }
}

#[test]
fn a_signal_ends_the_program_while_it_reads_its_input() {
    for signal_name in ["-INT", "-TERM"] {
        for arguments in
            [&["check", "/dev/stdin"][..], &["run", "/dev/stdin"], &["diff", "/dev/stdin", "/dev/stdin"]]
        {
            // The pipe stays open, and nothing comes.
            let child = simhost().args(arguments).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
            let mut child = child.expect("the program starts");
            let held = child.stdin.take();
            when_caught(&child);
            signal(&child, signal_name);
            assert_eq!(code(child), Some(130), "{arguments:?}");
            drop(held);
        }
    }
}

#[test]
fn a_signal_ends_a_comparison_and_a_measurement() {
    let topology = Topology::orders();
    let diff = ["diff", "orders.toml", "--without", "slow-index-scan", "--for", "8000h"];
    for arguments in [&diff[..], &["bench", "--for", "1h"]] {
        let mut command = simhost();
        command.current_dir(topology.beside("")).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.args(arguments).spawn().expect("the program starts");
        when_caught(&child);
        signal(&child, "-TERM");
        assert_eq!(code(child), Some(130), "{arguments:?}");
    }
}

#[test]
fn a_signal_leaves_nothing_behind_that_a_lab_has_for_a_while() {
    let home = tempfile::tempdir().expect("a folder");
    let (lab, temporary) = (home.path().join("lab"), home.path().join("temporary"));
    let entries = |folder: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(folder).expect("a folder");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    };
    finish(simhost().args(["lab", "start", "1", "--into"]).arg(&lab)).success();
    std::fs::create_dir(&temporary).expect("a folder");
    for (command, name) in [("check", "-INT"), ("check", "-TERM"), ("record", "-INT"), ("record", "-TERM")] {
        let mut lab_command = simhost();
        lab_command.args(["lab", command]).arg(&lab).env("TMPDIR", &temporary);
        let child = lab_command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.expect("the program starts");
        while entries(&temporary).is_empty() {
            assert!(child.try_wait().expect("a child").is_none(), "{command} has ended");
            std::thread::yield_now();
        }
        signal(&child, name);
        let code = code(child);
        // A recording that is made by then is whole.
        assert!(code == Some(130) || command == "record" && code == Some(0), "{command}: {code:?}");
        assert_eq!(entries(&temporary), [""; 0], "{command} {name}");
        let kept = entries(&lab).into_iter().filter(|entry| entry.starts_with('.'));
        assert_eq!(kept.collect::<Vec<_>>(), [".simhost-lab.json"], "{command} {name}");
        for made in ["telemetry.jsonl", "report.txt"] {
            std::fs::remove_file(lab.join(made)).ok();
        }
    }
}

#[test]
fn a_signal_ends_the_program_while_nobody_reads_what_it_generates() {
    let generate = Server::launch_unread(simhost().args(["generate", "--services", "2000"]));
    generate.wait_until_blocked();
    generate.signal("-TERM");
    assert_eq!(generate.ended().code, Some(130));
}

#[test]
fn a_signal_ends_a_question_to_a_run_that_does_not_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = silent.local_addr().expect("an address").to_string();
    for question in [&["list"][..], &["on", "slow"]] {
        let mut command = simhost();
        command.arg("fault").args(question).args(["--at", &at]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = child.expect("the program starts");
        let asked = silent.accept().expect("it asks");
        signal(&child, "-TERM");
        assert_eq!(code(child), Some(130), "{question:?}");
        drop(asked);
    }
}

#[test]
fn a_signal_ends_the_program_while_it_compiles() {
    let topology = Topology::orders();
    let cold = tempfile::tempdir().expect("a cache without entries");
    // Functions take time: so many take minutes.
    let function = "(func (param i32) (result i32) (i32.add (local.get 0) (i32.const 7)))";
    let guest = component(&module(&function.repeat(60_000)));
    std::fs::write(topology.beside("large.wasm"), guest).expect("a guest");
    let mut command =
        topology.command(&["--virtual", "--for", "1s", "--guest", "payment-service=large.wasm"]);
    let mut run = Server::launch(command.env("XDG_CACHE_HOME", cold.path()));
    run.wait_for("compiling ");
    run.signal("-TERM");
    assert_eq!(run.ended().code, Some(130));
}

#[test]
fn a_signal_ends_the_wait_for_a_receiver_that_does_not_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let topology = Topology::orders();
    let load = ["--load", "shoppers=on", "--otlp", &url];
    let mut run = Server::launch(topology.command(&["--virtual", "--for", "1s"]).args(load));
    run.wait_for("  ctrl-c ends the wait");
    run.signal("-TERM");
    let ended = run.ended();
    assert_eq!(ended.code, Some(1), "records are lost");
    for said in ["digest: ", "spans, out of time"] {
        assert!(ended.stdout.contains(said) || ended.stderr.contains(said), "{said}: {ended:?}");
    }
}

/// The world waits for the receiver when the signal comes, and is not waited for twice.
#[test]
fn a_run_that_a_receiver_holds_up_ends_in_order_when_it_is_told_to() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let topology = Topology::orders();
    let mut command = topology.command(&["--virtual", "--for", "8000h", "--load", "shoppers=on"]);
    command.env("OTEL_BSP_EXPORT_TIMEOUT", "2000").env("OTEL_BSP_MAX_QUEUE_SIZE", "512");
    command.env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "512");
    let run = Server::launch(command.args(["--otlp", &url]));
    let asked = silent.accept().expect("it is asked");
    run.signal("-TERM");
    let ended = run.ended();
    assert_eq!(ended.code, Some(1), "records are lost");
    assert!(ended.stdout.contains("digest: "), "{ended:?}");
    drop(asked);
}

/// The pipe is full, and nobody reads it: the run cannot end in good order.
#[test]
fn a_second_signal_ends_a_run_whose_output_is_blocked() {
    let topology = Topology::orders();
    for output in [&["--out", "-"][..], &["--show", "traces"], &["--truth", "-"]] {
        let mut command = topology.command(&["--virtual", "--for", "8000h", "--fault", "slow-index-scan=on"]);
        let run = Server::launch_unread(command.args(output));
        run.wait_until_blocked();
        assert_eq!(run.signal_until_ended("-TERM").code, Some(130), "{output:?}");
    }
}

/// What simulates waits for the pipe too, and hears nothing.
#[test]
fn a_run_whose_output_is_blocked_ends_within_its_bound() {
    let topology = Topology::orders();
    let mut command = topology.command(&["--virtual", "--for", "8000h", "--out", "-"]);
    command.env("OTEL_BSP_EXPORT_TIMEOUT", "100").env("OTEL_BSP_MAX_QUEUE_SIZE", "512");
    let mut run = Server::launch_unread(command.env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "512"));
    run.wait_until_blocked();
    run.signal("-TERM");
    run.wait_for(
        "error: the run is not over 25.1s after it was told to stop: what it writes to takes nothing",
    );
    assert_eq!(run.ended().code, Some(130));
}

/// One request makes a thousand million calls: what it writes to is read, and it goes on.
#[test]
fn a_run_that_still_simulates_when_its_time_is_over_says_so() {
    let services = ["front", "middle", "back"].map(|name| {
        let next = if name == "front" {
            "middle"
        } else if name == "middle" {
            "back"
        } else {
            "last"
        };
        format!("[services.{name}]\nguest = \"service\"\nconfig.calls = \"1000x {next}\"\n")
    });
    let text = format!(
        "[topology]\nname = \"many\"\n[limits]\nrequest-time = \"24h\"\ncpu-time = \"1h\"\n{}\
         [services.last]\nguest = \"service\"\n[[load]]\nname = \"one\"\nto = \"front\"\n\
         arrivals.constant = \"1/s\"\nrequest = {{ path = \"/\" }}\n",
        services.concat()
    );
    let topology = Topology::new("many", text);
    let mut command = topology.command(&["--virtual", "--for", "8000h", "--out", "-"]);
    let (finished, _) = interrupt(command.env("OTEL_BSP_EXPORT_TIMEOUT", "100"));
    assert_eq!(finished.code, Some(130), "{}", finished.stderr);
    said(&finished, &["is not over 25.1s after it was told to stop: it still simulates what was under way"]);
}

#[test]
fn a_signal_ends_the_runs_that_say_what_faults_have_caused() {
    let topology = Topology::orders();
    let on = "slow-index-scan=on";
    let flags = ["--virtual", "--for", "40s", "--fault", on, "--truth", "truth.jsonl", "--show", "none"];
    let mut run = Server::launch(&mut topology.command(&flags));
    run.wait_for("running once more without the fault");
    run.signal("-TERM");
    let ended = run.ended();
    ended.success();
    let note = "note: the run was interrupted: the truth has no comparison (causes: null)\n";
    assert!(ended.stderr.contains(note), "{}", ended.stderr);
    let truth = std::fs::read_to_string(topology.beside("truth.jsonl")).expect("the truth");
    assert!(truth.lines().last().is_some_and(|line| line.contains("interrupted")), "{truth:.2000}");
}
