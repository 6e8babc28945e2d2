//! `[[schedules]]`: jobs that run again and again.

use super::key::{Key, Optional, Required, Usual};
use super::names::Names;
use super::reader::Table;
use super::section::{Section, Subs};
use super::shapes::{By, Choice, Written};
use super::types::{DURATION, SERVICE, TEXT, TIME, Within};
use super::units::LONGEST;
use crate::clock;
use crate::error::{Problem, quote};
use crate::model::{JobSchedule, Nanos, OnReplicas, Overlap, ServiceId};

/// The shortest time from one run to the next: nanoseconds.
const EVERY_AT_LEAST: Nanos = 1_000_000;

pub(super) static SCHEDULES: Key<Subs, Optional> = Key {
    name: "schedules",
    of: Subs(&Section {
        name: "schedule",
        says: "a job of a service that runs again and again",
        keys: &[&SERVICE_KEY, &JOB, &EVERY, &START, &JITTER, &OVERLAP, &TIMEOUT, &REPLICAS],
        rules: &[],
    }),
    absent: Optional("none"),
    says: "jobs that run again and again: see [jobs](jobs.md)",
};

static SERVICE_KEY: Key<Written, Required> = Key {
    name: "service",
    of: SERVICE,
    absent: Required("name the service whose job it is: service = \"…\""),
    says: "a service whose guest has jobs",
};

static JOB: Key<By<String>, Required> = Key {
    name: "job",
    of: TEXT,
    absent: Required("name the job that runs: job = \"…\""),
    says: "one of the guest's jobs",
};

static EVERY: Key<Within, Required> = Key {
    name: "every",
    of: Within(EVERY_AT_LEAST, LONGEST),
    absent: Required("say how often it runs: every = \"1m\""),
    says: "from the instant at which a run is due to the next",
};

static START: Key<By<Nanos>, Usual> = Key {
    name: "start",
    of: DURATION,
    absent: Usual("\"0s\""),
    says: "when the first run is due, from the start of the run of simhost",
};

static JITTER: Key<By<Nanos>, Usual> = Key {
    name: "jitter",
    of: DURATION,
    absent: Usual("\"0s\""),
    says: "a run begins up to this much later than it is due; drawn for each run, at most `every`",
};

static OVERLAP: Key<Choice<Overlap>, Usual> = Key {
    name: "overlap",
    of: Choice {
        what: "rule",
        words: &[
            (Overlap::Skip.name(), Overlap::Skip),
            (Overlap::Queue.name(), Overlap::Queue),
            (Overlap::Allow.name(), Overlap::Allow),
        ],
    },
    absent: Usual("\"skip\""),
    says: "what becomes of a run that is due while the one before goes on: it is left out, begins behind it, or \
           runs beside it",
};

static TIMEOUT: Key<By<Nanos>, Optional> = Key {
    name: "timeout",
    of: TIME,
    absent: Optional("`limits.request-time` of the service"),
    says: "a run that takes longer fails, and its worker is made anew",
};

static REPLICAS: Key<Choice<OnReplicas>, Usual> = Key {
    name: "replicas",
    of: Choice {
        what: "choice",
        words: &[(OnReplicas::One.name(), OnReplicas::One), (OnReplicas::All.name(), OnReplicas::All)],
    },
    absent: Usual("\"one\""),
    says: "`one`: a run is at one replica, drawn for each run; `all`: at every replica",
};

/// The schedules, in the order of the file.
pub(super) fn schedules(root: &Table<'_>, names: &Names) -> Vec<JobSchedule> {
    let mut seen = Vec::new();
    let tables = SCHEDULES.open(root, "this schedule");
    tables.iter().filter_map(|table| schedule(table, names, &mut seen)).collect()
}

fn schedule(table: &Table<'_>, names: &Names, seen: &mut Vec<(ServiceId, String)>) -> Option<JobSchedule> {
    let service = SERVICE_KEY.need(table).and_then(|value| names.find(&value));
    let job_value = JOB.need(table);
    let job = job_value.as_ref().and_then(|value| value.filled());
    let (every, start) = (EVERY.read(table), START.read(table));
    let jitter = jitter(table, every);
    let (overlap, timeout, on) = (OVERLAP.read(table), TIMEOUT.read(table), REPLICAS.read(table));
    let (service, job, job_value) = (service?, job?, job_value?);
    if seen.iter().any(|(of, known)| *of == service && known == job) {
        let message = format!("two schedules run the job {} of {}", quote(job), names.name(service));
        let problem = Problem::new(message).label("the second one");
        return job_value.refuse(
            problem.help("give each job one schedule: its draws and its row in the report go by it"),
        );
    }
    seen.push((service, job.to_owned()));
    Some(JobSchedule {
        service,
        job: job.to_owned(),
        every: every?,
        start: start?,
        jitter: jitter?,
        overlap: overlap?,
        timeout: timeout?,
        on: on?,
        enabled: true,
        place: job_value.place(),
    })
}

/// No run begins behind the next one.
fn jitter(table: &Table<'_>, every: Option<Nanos>) -> Option<Nanos> {
    let jitter = JITTER.read(table)?;
    match JITTER.get(table).zip(every.filter(|every| jitter > *every)) {
        Some((value, every)) => value.refuse(
            Problem::new(format!("a jitter of {} is longer than every", clock::show(jitter)))
                .label("runs would overtake one another")
                .help(format!("write at most \"{}\"", clock::show(every))),
        ),
        None => Some(jitter),
    }
}
