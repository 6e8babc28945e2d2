//! Asks a guest for its routes, the names of its jobs and the topics that it consumes, before anything runs.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::rc::Rc;

use indexmap::IndexMap;
use tracing::debug;

use crate::bus::routes::Routes;
use crate::cache::Caches;
use crate::clock::{Clock, VIRTUAL_START};
use crate::database::Databases;
use crate::engine::CompiledGuest;
use crate::error::{Problem, SHOWN_AT_MOST, quote};
use crate::guest::contract::{self, Export, Route};
use crate::guest::{GuestFailure, Host, Identity, Worker};
use crate::model::{Compute, ConfigKeys, Model, Place, ServiceId};
use crate::process::Process;
use crate::sched::Sched;
use crate::telemetry::env::SpanLimits;
use crate::telemetry::record::ResourceId;
use crate::telemetry::recorder::Recorder;
use crate::telemetry::signal::Batch;
use crate::topic::Topics;
use crate::topology::duration;

use super::identity::{ReplicaInfo, Setup, identity};
use super::loaded::LoadedGuest;

/// Characters of a guest's text that are kept.
const TEXT_AT_MOST: usize = 500;

/// Lines of a guest's output that say why it did not give its routes.
const LINES_AT_MOST: usize = 3;

/// Jobs that a guest has at most.
const JOBS_AT_MOST: usize = 1_000;

/// The longest name of a job: bytes.
const JOB_NAME_AT_MOST: usize = 255;

/// Why a guest cannot be used.
#[derive(Debug)]
pub struct Refusal {
    pub first: Box<Reason>,
    pub others: Vec<Reason>,
    /// Problems beside those.
    pub further: usize,
}

/// Something that is wrong. The problem has no place yet.
#[derive(Debug)]
pub struct Reason {
    /// The key of `config` that is at fault.
    key: Option<String>,
    /// The part of its value that the guest quotes.
    part: Option<String>,
    pub problem: Problem,
}

impl Reason {
    const fn of(problem: Problem) -> Self {
        Self { key: None, part: None, problem }
    }

    /// Where it stands: the part of the value, or the key; none of what is about no key that is there.
    pub fn place(&self, keys: &ConfigKeys) -> Option<Place> {
        let key = self.key.as_deref()?;
        let part = self.part.as_deref().and_then(|part| keys.part(key, part));
        part.or_else(|| keys.place(key).cloned())
    }
}

impl Refusal {
    /// Refused for one reason.
    pub fn of(problem: Problem) -> Self {
        Self { first: Box::new(Reason::of(problem)), others: Vec::new(), further: 0 }
    }

    /// Refused for the first [`SHOWN_AT_MOST`] of these reasons, and more that are counted; for the one of
    /// `otherwise` where there are none.
    fn of_all(reasons: impl ExactSizeIterator<Item = Reason>, otherwise: impl FnOnce() -> Problem) -> Self {
        let further = reasons.len().saturating_sub(SHOWN_AT_MOST);
        let mut reasons = reasons.take(SHOWN_AT_MOST);
        match reasons.next() {
            Some(first) => Self { first: Box::new(first), others: reasons.collect(), further },
            None => Self::of(otherwise()),
        }
    }
}

/// Instantiates a guest once, in a world of its own, and asks what it has.
///
/// # Errors
/// All that is wrong with its configuration, its routes or its jobs; or why it did not answer.
pub fn ask_guest(
    model: &Model,
    id: ServiceId,
    code: CompiledGuest,
    setup: &Setup<'_>,
) -> Result<LoadedGuest, Refusal> {
    let service = model.service(id);
    let said: Rc<RefCell<Batch>> = Rc::default();
    let into = Rc::clone(&said);
    let host = Rc::new(Host {
        sched: Sched::new(Clock::virtual_from(VIRTUAL_START)),
        recorder: Rc::new(Recorder::new(move |batch| into.borrow_mut().logs.extend(batch.logs))),
        metrics: None,
        span_limits: SpanLimits::default(),
        root: model.root(),
        permits: Cell::new(1),
        databases: Databases::default(),
        caches: Caches::of_one(model, id),
        topics: Topics::default(),
        outbound: OnceCell::new(),
    });
    let process = Process::new(&host.sched, false);
    let info = ReplicaInfo { replica: 0, resource: ResourceId(0), address: Ipv4Addr::LOCALHOST, process };
    // It is before the first instant of any world: nothing takes time.
    let identity = Rc::new(Identity { compute: Compute::NONE, ..identity(model, id, info, setup) });
    // What it is asked for last is what it did not give.
    let asked = Cell::new(first_asked(&code));
    let asking = async {
        let mut worker = Worker::new(&code.pre, &host, &identity, 0).await?;
        let routes = worker.routes().await?;
        let ask = |export, for_what| asked.set(if code.pre.has(export) { for_what } else { asked.get() });
        ask(Export::Job, JOBS);
        let jobs = worker.jobs().await?;
        ask(Export::Consumer, TOPICS);
        let topics = worker.topics().await?;
        Ok((routes, jobs, topics, worker.asked()))
    };
    let answer = match host.sched.block_on(asking, || {}) {
        Ok(answer) => answer,
        Err(stalled) => Err(GuestFailure { kind: "stalled", message: stalled.to_string(), backtrace: None }),
    };
    host.recorder.flush();
    let name = quote(&service.name);
    match answer {
        Err(failure) => Err(Refusal::of(no_answer(&name, asked.get(), &failure, &said.borrow()))),
        Ok((routes, jobs, topics, preparing)) => {
            match (routes.transpose(), jobs.transpose(), topics.transpose()) {
                (Ok(routes), Ok(jobs), Ok(topics)) => Ok(LoadedGuest {
                    routes: compiled(&service.name, routes)?,
                    jobs: checked(&name, jobs.unwrap_or_default())?,
                    topics,
                    preparing,
                    code,
                }),
                (routes, jobs, topics) => {
                    let problems = each_once([routes.err(), jobs.err(), topics.err()]);
                    let caches: Vec<_> =
                        service.caches.iter().map(|cache| &*model.caches[*cache].name).collect();
                    Err(refused(&name, setup.config, &caches, problems))
                }
            }
        }
    }
}

/// What a guest is asked for, and its function that gives it.
type Asked = (&'static str, &'static str);

const ROUTES: Asked = ("its routes", "routes");
const JOBS: Asked = ("its jobs", "names");
const TOPICS: Asked = ("its topics", "topics");

/// What a guest is asked for first.
fn first_asked(code: &CompiledGuest) -> Asked {
    let all = [(Export::Handler, ROUTES), (Export::Job, JOBS)];
    let first = all.into_iter().find(|(export, _)| code.pre.has(*export));
    first.map_or(TOPICS, |(_, asked)| asked)
}

/// The routes of a guest, where it serves requests.
fn compiled(service: &str, routes: Option<Vec<Route>>) -> Result<Routes, Refusal> {
    let Some(routes) = routes else { return Ok(Routes::unserved()) };
    let name = quote(service);
    Routes::new(&service.into(), routes).map_err(|errors| incorrect(&name, "routes", errors))
}

/// The names of a guest's jobs, where they can be used.
fn checked(name: &str, jobs: Vec<String>) -> Result<Vec<String>, Refusal> {
    let mut errors = Vec::new();
    if jobs.len() > JOBS_AT_MOST {
        errors.push(format!("{} jobs are more than {JOBS_AT_MOST}", jobs.len()));
    }
    let mut known = BTreeSet::new();
    for job in jobs.iter().take(JOBS_AT_MOST) {
        let is_new = known.insert(job);
        if job.is_empty() || job.len() > JOB_NAME_AT_MOST || job.contains(char::is_control) {
            let job = shortened(job);
            errors.push(format!(
                "{job:?} is not the name of a job: it has 1 to {JOB_NAME_AT_MOST} bytes, without control characters"
            ));
        } else if !is_new {
            errors.push(format!("the job {job:?} is there twice"));
        }
    }
    if errors.is_empty() { Ok(jobs) } else { Err(incorrect(name, "jobs", errors)) }
}

/// The guest of the service `name` has routes or jobs that cannot be.
fn incorrect(name: &str, what: &str, errors: Vec<String>) -> Refusal {
    let correct = |message: String| Problem::new(message).help(format!("correct the guest's {what}"));
    let reasons = errors
        .into_iter()
        .map(|error| Reason::of(correct(format!("the guest of {name}: {}", shortened(&error)))));
    Refusal::of_all(reasons, || correct(format!("the guest of {name} has {what} that cannot be")))
}

/// The problems of all, those that several have once.
fn each_once(all: [Option<Vec<contract::Problem>>; 3]) -> Vec<contract::Problem> {
    let mut known = BTreeSet::new();
    let mut problems: Vec<contract::Problem> = all.into_iter().flatten().flatten().collect();
    problems.retain(|problem| known.insert((problem.key.clone(), problem.message.clone())));
    problems
}

/// What the guest of the service `name` reports about its configuration. `caches` are those that it may use.
fn refused(
    name: &str,
    config: &IndexMap<String, String>,
    caches: &[&str],
    problems: Vec<contract::Problem>,
) -> Refusal {
    let reason = |contract::Problem { key, message, remedy }| {
        if let Some((key, text)) = key.as_deref().and_then(|key| no_time(config, caches, key)) {
            let message = format!("config.{key} of {name}: {text:?} keeps no answer");
            let problem =
                Problem::new(message).help("write cache = \"10s\", or leave cache and cache-in out");
            return Reason { key: Some(key), part: Some(text.to_owned()), problem };
        }
        let part = key.as_ref().and_then(|key| quoted(&message, config.get(key)?)).map(str::to_owned);
        let message = match &key {
            Some(key) => format!("config.{} of {name}: {}", shortened(key), shortened(&message)),
            None => format!("the guest of {name}: {}", shortened(&message)),
        };
        let remedy = remedy.as_deref().map(shortened).filter(|remedy| !remedy.is_empty());
        let several = key.as_deref().and_then(|key| several_messages(key, &message));
        let problem = Problem { help: several.or(remedy.map(str::to_owned)), ..Problem::new(message) };
        Reason { key, part, problem }
    };
    Refusal::of_all(problems.into_iter().map(reason), || {
        let message = format!("the guest of {name} refuses its configuration and names no problem");
        Problem::new(message).help("let it return what is wrong")
    })
}

/// The part of a value that a message about it quotes: all of it, or what stands in backticks or in quotes.
fn quoted<'a>(message: &'a str, value: &'a str) -> Option<&'a str> {
    if value.is_empty() || message.contains(&quote(value)) {
        return Some(value).filter(|value| !value.is_empty());
    }
    let mut parts = ['`', '"'].into_iter().flat_map(|quotes| message.split(quotes).skip(1).step_by(2));
    parts.find(|part| !part.is_empty() && value.contains(part))
}

/// How to send several messages, for a `publish` that has a plain number of them: `3 loans`.
fn several_messages(key: &str, message: &str) -> Option<String> {
    let is_publish = key == "publish" || key.ends_with(".publish");
    let (_, rest) = message.split_once("the call `").filter(|_| is_publish)?;
    let (number, topic) = rest.split_once('`')?.0.split_once(' ')?;
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    is_number
        .then(|| format!("for several messages write how many with an x: publish = \"{number}x {topic}\""))
}

/// The time for which answers are kept, with its key, where it is zero: what is wrong with a `cache-in` that
/// names a cache of the service is that its answers are kept for no time.
fn no_time<'a>(
    config: &'a IndexMap<String, String>,
    caches: &[&str],
    key: &str,
) -> Option<(String, &'a str)> {
    let table = key.strip_suffix("cache-in")?;
    caches.contains(&config.get(key)?.as_str()).then_some(())?;
    let keys = [format!("{table}cache"), "cache".to_owned()];
    let key = keys.into_iter().find(|key| config.contains_key(key))?;
    let text = config.get(&key)?.as_str();
    (text == "0" || duration(text) == Ok(0)).then_some((key, text))
}

fn shortened(text: &str) -> &str {
    text.char_indices().nth(TEXT_AT_MOST).map_or(text, |(end, _)| &text[..end])
}

/// What a person reads if the guest of the service `name` did not give what it was asked for.
fn no_answer(name: &str, (what, function): Asked, failure: &GuestFailure, said: &Batch) -> Problem {
    let GuestFailure { kind, message, backtrace } = failure;
    debug!(service = %name, function, kind, why = message, backtrace, "guest gave no answer");
    let why = match *kind {
        "guest_trap" => "it stopped with an error",
        _ => message,
    };
    let lines: Vec<_> = said.logs.iter().map(|log| log.body.to_string()).collect();
    let help = remedy(function, failure).unwrap_or_else(|| match printed(&lines) {
        printed if printed.is_empty() => match *kind {
            "guest_trap" => "run with -vv to see where it stopped".to_owned(),
            "guest_exit" => format!("let its function `{function}` return in place of ending the program"),
            _ => format!("correct its function `{function}`, which runs before any request"),
        },
        printed => format!("it printed: {}", shortened(&printed)),
    });
    let message = format!("the guest of {name} does not give {what}: {}", shortened(why));
    Problem::new(message).help(help)
}

/// What to do about a bound that a guest met in a function that says what it has.
fn remedy(function: &str, failure: &GuestFailure) -> Option<String> {
    match (failure.kind, failure.bound()) {
        // Some bounds of a worker are constants, and its message names no key.
        (_, Some(key)) if failure.message.contains(key) => {
            Some(format!("let its function `{function}` do less, or raise {key}"))
        }
        (_, Some(_)) => Some(format!("let its function `{function}` do less")),
        ("stack_overflow", _) => Some(format!("end the recursion in its function `{function}`")),
        ("stalled", _) => Some(format!("let its function `{function}` return without waiting")),
        _ => None,
    }
}

/// The last lines that a guest has printed, without those that only a Rust program's own author needs.
fn printed(lines: &[String]) -> String {
    let is_of_rust = |line: &str| {
        let is_head = line.starts_with("thread '") && line.contains(" panicked at ") && line.ends_with(':');
        is_head || line.starts_with("note: run with `RUST_BACKTRACE")
    };
    let worth = lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty() && !is_of_rust(line));
    let worth: Vec<_> = worth.collect();
    worth[worth.len().saturating_sub(LINES_AT_MOST)..].join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guest_printed_is_its_last_words_without_those_of_rust() {
        let lines = [
            "one",
            "two",
            "",
            "thread '<unnamed>' (1) panicked at src/lib.rs:7:5:",
            "there is no price",
            "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
            "  ",
            "three",
        ];
        assert_eq!(printed(&lines.map(str::to_owned)), "two / there is no price / three");
    }

    #[test]
    fn each_bound_has_a_remedy_of_its_own() {
        let of = |kind, message: &str| {
            let failure = GuestFailure { kind, message: message.to_owned(), backtrace: None };
            no_answer("\"a\"", ROUTES, &failure, &Batch::default()).help.unwrap()
        };
        for (kind, message, help) in [
            ("cpu_time_exceeded", "longer than limits.cpu-time = 1s", "do less, or raise limits.cpu-time"),
            ("memory_exceeded", "more than limits.memory = 64 KiB", "do less, or raise limits.memory"),
            ("host_memory_exceeded", "held more than 16384 spans", "let its function `routes` do less"),
            ("stack_overflow", "the guest's stack overflowed", "end the recursion"),
            ("guest_exit", "the guest exited", "return in place of ending the program"),
            ("guest_error", "invalid utf-8", "correct its function `routes`"),
            ("guest_trap", "unreachable", "run with -vv"),
        ] {
            let said = of(kind, message);
            assert!(said.contains(help), "{kind}: {said}");
        }
    }
}
