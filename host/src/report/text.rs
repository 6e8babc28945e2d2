//! The report as a person reads it.

use std::fmt::Write as _;

use crate::error::{INFALLIBLE, wrap};
use crate::model::Nanos;
use crate::telemetry::console::Style;

use super::caches;
use super::databases;
use super::exemplars;
use super::instances::{self, InstanceRow};
use super::rows::{JobRow, LinkRow, LoadRow, PolicyRow, RouteRow, ServiceRow};
use super::sparkline;
use super::table::{self, Column, Page, times};
use super::topics;
use super::words::{about, count, counted, number, percent, time};
use super::{FaultRow, Report};

/// Requests from outside below which quantiles and rates say nothing: the report
/// then has the times alone.
const ENOUGH: u64 = 10;

/// A twentieth of a run's time in which no requests came in, or more, is told of: rates
/// are not over it.
const TOLD_APART: u64 = 20;

/// Characters of a `service.instance.id` that tell instances apart.
const INSTANCE: usize = 8;

/// Lines that are longer than the page go on below, further in.
fn folded(text: &str, width: usize) -> String {
    const FURTHER: usize = 4;
    let fold = |line: &str| match crate::error::width(line) > width {
        true => wrap(line, width - FURTHER).replace('\n', &format!("\n{:FURTHER$}", "")),
        false => line.to_owned(),
    };
    text.lines().map(|line| fold(line) + "\n").collect()
}

impl Report {
    /// The report as a person reads it: the busiest rows of each table. A run of
    /// a few requests gets their times alone, unless a load had errors: of what it
    /// did not send, or did not wait for, the routes know nothing.
    pub fn text(&self, style: Style) -> String {
        let mut text = String::new();
        self.headline(&mut text);
        let all_went_well = self.loads.iter().all(|load| load.numbers.errors == 0);
        let are_few = self.requests < ENOUGH && all_went_well && self.jobs.is_empty();
        if are_few {
            self.few(&mut text, style);
        } else {
            self.interval(&mut text);
            self.many(&mut text, style);
        }
        topics::write(&mut text, style, &self.topics, are_few);
        let width = usize::from(style.width);
        // In a pipe without `COLUMNS` each has a line, so that `grep` finds all of it.
        let told = if style.wraps { width } else { usize::MAX };
        for fault in &self.faults {
            text.push_str(&folded(&line(fault), told));
        }
        for warning in self.warnings() {
            text.push_str(&folded(&format!("warning: {warning}"), told));
        }
        for objective in &self.objectives {
            writeln!(text, "{objective}").expect(INFALLIBLE);
        }
        if self.unfinished > 0 {
            let left = counted(self.unfinished, "request");
            writeln!(text, "{left} still under way were given up; their spans are lost").expect(INFALLIBLE);
        }
        let mut telemetry = String::new();
        self.telemetry.text(&mut telemetry);
        text.push_str(&folded(&telemetry, width));
        if let Some(digest) = &self.digest {
            writeln!(text, "digest: {digest}").expect(INFALLIBLE);
        }
        text
    }

    fn headline(&self, text: &mut String) {
        let Self { topology, seed, shards, requests, .. } = self;
        let simulated = time(self.simulated_ns);
        let of = if self.elapsed_ns.is_some() { "" } else { " of simulated time" };
        let requests = counted(*requests, "request");
        let shards = if *shards == 1 { String::new() } else { format!(", {shards} shards") };
        writeln!(text, "{topology}: {requests} in {simulated}{of}, seed {seed}{shards}").expect(INFALLIBLE);
    }

    /// Over which part of the run rates are, where it is not about all of it.
    fn interval(&self, text: &mut String) {
        let Self { simulated_ns, duration_ns, drain_ns, drained, .. } = *self;
        if duration_ns == 0 || simulated_ns.saturating_sub(duration_ns) < simulated_ns / TOLD_APART {
            return;
        }
        let over = time(duration_ns);
        writeln!(text, "rates and utilisation are over the {over} in which requests came in")
            .expect(INFALLIBLE);
        if drained > 0 {
            let requests = counted(drained, "request");
            writeln!(text, "{requests} ended in the {} after that", time(drain_ns)).expect(INFALLIBLE);
        }
    }

    /// What each request took.
    fn few(&self, text: &mut String, style: Style) {
        let mut page = Page { text, style, left_out: Vec::new() };
        let mut columns = route_names();
        if self.routes.iter().all(|row| row.numbers.count == 1) {
            columns.extend(table::errors(&self.routes, |row| &row.numbers));
            columns.push(("time", Box::new(|row| time(row.numbers.max_ns))));
        } else {
            columns.push(("requests", Box::new(|row| count(row.numbers.count))));
            columns.extend(table::errors(&self.routes, |row| &row.numbers));
            columns.push(("mean", Box::new(|row| time(row.numbers.mean_ns))));
            columns.push(("max", Box::new(|row| time(row.numbers.max_ns))));
        }
        page.table("route", &self.routes, |row| row.numbers.weight(), 2, &columns);
        page.close();
    }

    /// What they took together, where they waited, and who called whom.
    fn many(&self, text: &mut String, style: Style) {
        let mut page = Page { text, style, left_out: Vec::new() };
        if !self.loads.is_empty() {
            let mut columns: Vec<Column<'_, LoadRow>> = vec![
                ("load", Box::new(|row| row.name.clone())),
                ("requests", Box::new(|row| count(row.requests))),
                ("rate/s", Box::new(|row| number(row.numbers.rate))),
            ];
            // Each rate is over its own load's time.
            if self.loads.iter().any(|row| row.duration_ns != self.duration_ns) {
                columns.push(("over", Box::new(|row| time(row.duration_ns))));
            }
            columns.extend(times(|row: &LoadRow| &row.numbers, known_to_the_digit));
            columns.extend(table::errors(&self.loads, |row| &row.numbers));
            page.text.push('\n');
            page.table("load", &self.loads, |row| row.numbers.weight(), 1, &columns);
        }
        if !self.jobs.is_empty() {
            page.text.push('\n');
            page.table("job", &self.jobs, |row| row.numbers.weight(), 2, &job_columns(&self.jobs));
        }
        let mut columns = route_names();
        columns.push(("requests", Box::new(|row| count(row.numbers.count))));
        columns.push(("rate/s", Box::new(|row| number(row.numbers.rate))));
        columns.extend(times(|row: &RouteRow| &row.numbers, known_to_the_digit));
        columns.extend(table::errors(&self.routes, |row| &row.numbers));
        page.text.push('\n');
        page.table("route", &self.routes, |row| row.numbers.weight(), 2, &columns);
        exemplars::write(&mut page, &self.routes);
        page.text.push('\n');
        page.table("service", &self.services, strain, 1, &service_columns());
        self.instances(&mut page);
        let mut columns: Vec<Column<'_, LinkRow>> = vec![
            ("from", Box::new(|row| row.from.clone().unwrap_or_else(|| "(outside)".to_owned()))),
            ("to", Box::new(|row| row.to.clone().unwrap_or_else(|| "(elsewhere)".to_owned()))),
            ("calls", Box::new(|row| count(row.numbers.count))),
            ("in flight", Box::new(|row| number(row.in_flight_mean))),
            ("most", Box::new(|row| count(row.in_flight_max))),
        ];
        if self.links.iter().any(|row| row.unsent > 0) {
            columns.push(("unsent", Box::new(|row| count(row.unsent))));
        }
        columns.extend(times(|row: &LinkRow| &row.numbers, about));
        columns.extend(policies(&self.links));
        columns.extend(table::errors(&self.links, |row| &row.numbers));
        page.text.push('\n');
        page.table("link", &self.links, |row| row.numbers.weight(), 2, &columns);
        databases::write(&mut page, &self.databases);
        caches::write(&mut page, &self.caches);
        page.close();
        sparkline::write(page.text, &self.timeline, &self.symptoms, style);
        page.text.push('\n');
    }

    /// The instances of services whose instances fare differently.
    fn instances(&self, page: &mut Page<'_>) {
        let apart = instances::apart(&self.instances);
        let mut columns: Vec<Column<'_, InstanceRow>> = vec![
            ("service", Box::new(|row| row.service.clone())),
            ("version", Box::new(|row| row.version.clone().unwrap_or_else(|| "-".to_owned()))),
            ("instance", Box::new(|row| row.instance.chars().take(INSTANCE).collect())),
            ("requests", Box::new(|row| count(row.numbers.count))),
            ("rate/s", Box::new(|row| number(row.numbers.rate))),
        ];
        columns.extend(times(|row: &InstanceRow| &row.numbers, about));
        columns.extend(table::errors(&apart, |row| &row.numbers));
        if !apart.is_empty() {
            page.text.push('\n');
        }
        page.table("instance", &apart, |row| row.numbers.weight(), 3, &columns);
    }
}

/// `fault slow: matched 120, injected 58, suppressed 62 (probability), in 3 windows`
fn line(fault: &FaultRow) -> String {
    let FaultRow { name, matched, injected, suppressed, windows, deaths, .. } = fault;
    let mut line = format!("fault {name}: matched {}, injected {}", count(*matched), count(*injected));
    let spared: u64 = suppressed.values().sum();
    if spared > 0 {
        let reasons: Vec<_> = match suppressed.len() {
            1 => suppressed.keys().cloned().collect(),
            _ => suppressed.iter().map(|(why, times)| format!("{why} {}", count(*times))).collect(),
        };
        write!(line, ", suppressed {} ({})", count(spared), reasons.join(", ")).expect(INFALLIBLE);
    }
    if *deaths > 0 {
        write!(line, ", {}", counted(*deaths, "death")).expect(INFALLIBLE);
    }
    if *windows > 1 {
        write!(line, ", in {}", counted(*windows, "window")).expect(INFALLIBLE);
    }
    line
}

/// What the policies of links did; a column for each thing that any did.
fn policies<'a>(links: &[LinkRow]) -> Vec<Column<'a, LinkRow>> {
    type Count = fn(&PolicyRow) -> u64;
    let columns: [(_, Count); 4] = [
        ("resent", |row| row.resends),
        ("withheld", |row| row.withheld),
        ("opened", |row| row.opened),
        ("fallbacks", |row| row.fallbacks),
    ];
    let of = |row: &LinkRow, what: Count| row.policies.as_ref().map_or(0, what);
    let happened = columns.into_iter().filter(|(_, what)| links.iter().any(|row| of(row, *what) > 0));
    let column = |(head, what)| -> Column<'a, LinkRow> { (head, Box::new(move |row| count(of(row, what)))) };
    happened.map(column).collect()
}

/// Where requests wait, and where workers are busy: in millionths.
fn strain(row: &ServiceRow) -> (u64, u64) {
    ((row.waiting_mean * 1e6) as u64, (row.utilisation * 1e6) as u64)
}

fn job_columns<'a>(jobs: &[JobRow]) -> Vec<Column<'a, JobRow>> {
    let mut columns: Vec<Column<'a, JobRow>> = vec![
        ("service", Box::new(|row| row.service.clone())),
        ("job", Box::new(|row| row.job.clone())),
        ("runs", Box::new(|row| count(row.numbers.count))),
    ];
    if jobs.iter().any(|row| row.skipped > 0) {
        columns.push(("skipped", Box::new(|row| count(row.skipped))));
    }
    columns.extend(times(|row: &JobRow| &row.numbers, known_to_the_digit));
    columns.extend(table::errors(jobs, |row| &row.numbers));
    columns
}

fn route_names<'a>() -> Vec<Column<'a, RouteRow>> {
    vec![
        ("service", Box::new(|row| row.service.clone())),
        ("route", Box::new(|row| row.route.clone().unwrap_or_else(|| "(no route)".to_owned()))),
    ]
}

fn service_columns<'a>() -> Vec<Column<'a, ServiceRow>> {
    let workers = |row: &ServiceRow| match row.replicas {
        1 => count(row.workers.into()),
        replicas => format!("{}×{}", count(replicas.into()), count(row.workers.into())),
    };
    let queue = |row: &ServiceRow| match row.waiting_max {
        0 => "0".to_owned(),
        most => format!("{} of {}", count(most.into()), count(row.queue.into())),
    };
    vec![
        ("service", Box::new(|row| row.service.clone())),
        ("workers", Box::new(workers)),
        ("utilisation", Box::new(|row| percent(row.utilisation))),
        ("busy", Box::new(|row| number(row.busy_mean))),
        ("queue mean", Box::new(|row| number(row.waiting_mean))),
        ("queue max", Box::new(queue)),
        ("wait mean", Box::new(|row| time(row.wait_mean_ns))),
        ("wait p99", Box::new(|row| about(row.wait_p99_ns, row.wait_max_ns))),
        ("wait max", Box::new(|row| time(row.wait_max_ns))),
    ]
}

/// A quantile of a histogram with three digits.
fn known_to_the_digit(quantile: Nanos, _longest: Nanos) -> String {
    time(quantile)
}
