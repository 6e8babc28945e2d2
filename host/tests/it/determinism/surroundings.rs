//! What goes on around a run changes nothing: the machine, the environment, the
//! receivers of its records.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tonic::Status;

use crate::determinism::left::{Left, assert_same};
use crate::determinism::shop::{command, run, shop, usual};
use crate::support::Topology;
use crate::support::http::Dead;
use crate::telemetry::receiver::{Answer, Receiver, http};

/// More requests than any run here sends to a receiver.
const ALWAYS: usize = 10_000;

/// Every processor at work, until this is dropped.
struct Busy {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Busy {
    fn start() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let spin = |over: Arc<AtomicBool>| {
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        };
        let threads = (0..processors).map(|_| spin(Arc::clone(&over))).collect();
        Self { over, threads }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("nothing in it fails");
        }
    }
}

#[test]
fn a_busy_machine_changes_no_byte() {
    let busy = Busy::start();
    let left = run(&shop(false));
    drop(busy);
    assert_same("a busy machine", usual(), &left);
}

/// Threads then run one at a time, in another order, and there are fewer of them.
#[cfg(target_os = "linux")]
#[test]
fn a_single_processor_changes_no_byte() {
    let topology = shop(false);
    let usually = command(&topology);
    // Part of util-linux, as `kill` is.
    let mut alone = Command::new("taskset");
    alone.args(["--cpu-list", &first_processor()]).arg(usually.get_program()).args(usually.get_args());
    alone.envs(usually.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert_same("a single processor", usual(), &Left::by(&mut alone));
}

/// One that this process may use: not every container has the first one.
#[cfg(target_os = "linux")]
fn first_processor() -> String {
    let status = std::fs::read_to_string("/proc/self/status").expect("what the kernel says");
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let list = allowed.expect("the processors of this process").trim();
    list.split([',', '-']).next().expect("it has one").to_owned()
}

#[test]
fn what_a_person_has_in_the_environment_changes_no_byte() {
    let topology = shop(false);
    let home = topology.beside("home").display().to_string();
    for set in [
        &[("LC_ALL", "tr_TR.UTF-8"), ("TZ", "Pacific/Kiritimati"), ("HOME", &home), ("USER", "somebody")][..],
        &[("NO_COLOR", "1"), ("TERM", "dumb"), ("COLUMNS", "20"), ("LINES", "5"), ("PATH", "/nowhere")],
        &[("CLICOLOR_FORCE", "1"), ("TERM", "xterm-256color"), ("COLUMNS", "300"), ("LANG", "C")],
        &[("RUST_LOG", "trace"), ("RUST_BACKTRACE", "full"), ("TOKIO_WORKER_THREADS", "1")],
        &[("RAYON_NUM_THREADS", "1"), ("WASMTIME_BACKTRACE_DETAILS", "1"), ("MIMALLOC_LARGE_OS_PAGES", "1")],
    ] {
        let left = Left::by(command(&topology).envs(set.iter().copied()));
        assert_same(&format!("the environment {set:?}"), usual(), &left);
    }
}

/// A text has another way to the terminal than the report, and other colours.
#[test]
fn how_the_report_is_shown_changes_no_record() {
    let topology = Topology::orders();
    let text = |set: &[(&str, &str)]| {
        let mut command = topology.command(&["--for", "1s", "--show", "traces"]);
        topology.records_of(command.envs(set.iter().copied())).1
    };
    let plain = text(&[("NO_COLOR", "1"), ("COLUMNS", "60")]);
    assert_eq!(
        crate::determinism::difference::first(&plain, &text(&[("CLICOLOR_FORCE", "1"), ("COLUMNS", "160")])),
        None
    );
}

/// What is compiled here is what comes out of the cache.
#[test]
fn guests_that_are_compiled_anew_change_no_byte() {
    let topology = shop(false);
    let cache = topology.beside("cache");
    let fresh = || Left::by(command(&topology).env("XDG_CACHE_HOME", &cache));
    assert_same("guests compiled anew", usual(), &fresh());
    assert!(cache.exists(), "it was compiled into the cache");
    assert_same("guests from the cache", usual(), &fresh());
}

/// Runs the shop with its records going to `url` as well. What became of them
/// there is given apart; nothing else may differ.
#[track_caller]
fn exported(what: &str, url: &str, more: impl FnOnce(&mut Command)) -> Value {
    let topology = shop(false);
    let mut command = command(&topology);
    // What is lost there is told apart, and is no failure here.
    more(command.args(["--otlp", url, "--lossy"]));
    let left = Left::by(&mut command);
    let exporters = "/telemetry/exporters";
    assert_same(what, &usual().clone().without(exporters), &left.clone().without(exporters));
    let report = left.json();
    let told = report.pointer(exporters).and_then(Value::as_array).expect("exporters");
    let to_url = |row: &&Value| row["name"].as_str().is_some_and(|name| name.contains(url));
    told.iter().find(to_url).unwrap_or_else(|| panic!("no {url} in {told:?}")).clone()
}

/// A receiver, and what keeps it going.
fn receiver(start: impl Future<Output = Receiver>) -> (tokio::runtime::Runtime, Receiver) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let receiver = runtime.block_on(start);
    (runtime, receiver)
}

/// Spans of the usual run.
fn spans() -> Value {
    usual().json()["telemetry"]["spans"].clone()
}

#[test]
fn a_receiver_that_is_absent_changes_no_byte() {
    let dead = Dead::open();
    let row = exported("an absent receiver", &dead.url(), |command| {
        command.env("OTEL_BSP_EXPORT_TIMEOUT", "300");
    });
    assert_eq!(row["exported_spans"], 0, "{row}");
}

#[test]
fn a_receiver_that_never_answers_changes_no_byte() {
    let (_runtime, silent) = receiver(Receiver::grpc(std::iter::repeat_with(|| Answer::Hang).take(ALWAYS)));
    let row = exported("a silent receiver", &silent.url(), |command| {
        command.env("OTEL_BSP_EXPORT_TIMEOUT", "300").env("OTEL_EXPORTER_OTLP_TIMEOUT", "100");
    });
    assert_eq!(row["exported_spans"], 0, "{row}");
}

/// It gets everything nevertheless: virtual time waits for room in the queue.
#[test]
fn a_slow_receiver_over_grpc_changes_no_byte() {
    let slowly = || Answer::After(Duration::from_millis(10));
    let (_runtime, slow) = receiver(Receiver::grpc(std::iter::repeat_with(slowly).take(ALWAYS)));
    let row = exported("a slow receiver", &slow.url(), |_| {});
    assert_eq!(row["exported_spans"], spans(), "{row}");
}

#[test]
fn a_receiver_that_refuses_everything_over_http_changes_no_byte() {
    let refusals = std::iter::repeat_with(|| http(403, &[], "not you")).take(ALWAYS);
    let (_runtime, refusing) = receiver(Receiver::http(refusals));
    let row = exported("a receiver that refuses", &refusing.url(), |command| {
        command.env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    });
    assert_eq!(row["exported_spans"], 0, "{row}");
}

#[test]
fn a_receiver_that_refuses_now_and_then_changes_no_byte() {
    let answers = |number: usize| match number % 3 {
        0 => Answer::Refuse(Status::unavailable("later")),
        1 => Answer::Partial(7, "seven were too old"),
        _ => Answer::Accept,
    };
    let (_runtime, moody) = receiver(Receiver::grpc((0..ALWAYS).map(answers)));
    let row = exported("a moody receiver", &moody.url(), |_| {});
    assert_ne!(row["exported_spans"], spans(), "{row}");
    assert_ne!(row["exported_spans"], 0, "{row}");
}
