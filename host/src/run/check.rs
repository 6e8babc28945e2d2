//! What `simhost check` says of a topology that is good: for a person here, for a
//! program in `document`.

pub(super) mod document;
pub(super) mod fault;
mod link;
pub(super) mod store;
pub(super) mod topic;

use std::fmt::Write as _;

use indexmap::IndexMap;

use crate::clock;
use crate::error::{INFALLIBLE, wrap};
use crate::model::{Measure, Model, Objective, RequestsOf, ServiceId};
use crate::report::words;

use super::calls::{Call, Calls, of_job, of_topic};
use super::loaded::LoadedService;
use store::TableRow;

/// A blank where no line may end.
const NO_BREAK: &str = "\u{a0}";

/// Columns of the text.
const WIDTH: usize = 80;

/// What a topology would run: services with their code, their routes and what these
/// call; and below them, in a paragraph each, everything else.
pub fn description(
    model: &Model,
    services: &[LoadedService],
    calls: &Calls,
    tables: &[Vec<TableRow>],
) -> String {
    let mut text = format!("{}: good to run\n", model.title);
    for index in 0..services.len() {
        text.push('\n');
        text.push_str(&of_service(model, services, calls, ServiceId(index as u32)));
    }
    text.push('\n');
    if let Some(ingress) = &model.ingress {
        let to = &model.service(ingress.to).name;
        writeln!(text, "ingress: http://{} to {to}", ingress.listen).expect(INFALLIBLE);
    }
    for (at, tables) in tables.iter().enumerate() {
        for (line, said) in store::lines(model, at, tables).iter().enumerate() {
            text.push_str(&paragraph(if line == 0 { "" } else { "  " }, said));
        }
    }
    for at in 0..model.caches.len() {
        text.push_str(&paragraph("", &store::cache(model, at)));
    }
    for (index, topic) in model.topics.iter().enumerate() {
        text.push_str(&paragraph("", &topic::line(topic)));
        for subscription in model.subscriptions.iter().filter(|subscription| subscription.topic == index) {
            text.push_str(&paragraph("  ", &topic::group(subscription, model)));
        }
    }
    for link in &model.links {
        text.push_str(&paragraph("", &link::line(link, model)));
    }
    for load in &model.loads {
        let to = &model.service(load.to).name;
        let when = if load.real_time { "" } else { ", in virtual time only" };
        text.push_str(&paragraph("", &format!("load {}: to {to}{when}", load.name)));
    }
    for schedule in &model.schedules {
        let (service, every) = (&model.service(schedule.service).name, clock::show(schedule.every));
        text.push_str(&paragraph("", &format!("job {}: of {service}, every {every}", schedule.job)));
    }
    for fault in &model.faults {
        text.push_str(&paragraph("", &fault::line(fault, model)));
    }
    for objective in &model.objectives {
        text.push_str(&paragraph("", &of_objective(objective, model)));
    }
    text
}

/// A service, its routes, and what each of them calls.
fn of_service(model: &Model, services: &[LoadedService], calls: &Calls, id: ServiceId) -> String {
    let (described, service) = (model.service(id), &services[id.index()]);
    let mut head = format!("{}: {}", service.name, service.source);
    if let Some(version) = &service.version {
        write!(head, ", version {version}").expect(INFALLIBLE);
    }
    let Some(guest) = &service.guest else { return paragraph("", &format!("{head}, a real server")) };
    if described.replicas > 1 {
        write!(head, ", {} replicas of", described.replicas).expect(INFALLIBLE);
    } else {
        head.push(',');
    }
    write!(head, " {}", words::counted(u64::from(described.workers), "worker")).expect(INFALLIBLE);
    if described.compute_factor != 1.0 {
        write!(head, ", computing takes {} times as long", words::number(described.compute_factor))
            .expect(INFALLIBLE);
    }
    if !described.caches.is_empty() {
        let names: Vec<_> = described.caches.iter().map(|at| model.caches[*at].name.as_str()).collect();
        write!(head, ", caches {}", names.join(", ")).expect(INFALLIBLE);
    }
    let mut text = paragraph("", &head);
    let jobs = guest.jobs.iter().map(|job| of_job(job));
    let topics = guest.topics.iter().flatten().map(|topic| of_topic(topic));
    let mut made: IndexMap<&str, Vec<&Call>> = IndexMap::new();
    for call in calls.made_by(id).iter().filter(|call| call.deployed_by.is_none()) {
        made.entry(call.route.as_str()).or_default().push(call);
    }
    for route in guest.routes.names().map(str::to_owned).chain(jobs).chain(topics) {
        text.push_str(&paragraph("  ", &route));
        if let Some(made) = made.get(route.as_str()) {
            text.push_str(&paragraph("    ", &format!("calls {}", in_steps(made))));
        }
    }
    if !calls.known(id) {
        text.push_str("  (what it calls shows when it runs)\n");
    }
    text
}

/// Calls as a configuration has them: `,` between steps, `&` between what is called at the same time.
fn in_steps(calls: &[&Call]) -> String {
    let steps = calls.chunk_by(|one, other| one.step == other.step);
    let step = |step: &[&Call]| {
        step.iter().map(|call| unbroken(&call.what.to_string())).collect::<Vec<_>>().join(" & ")
    };
    steps.map(step).collect::<Vec<_>>().join(", ")
}

/// Text that [`paragraph`] does not break.
fn unbroken(text: &str) -> String {
    text.replace(' ', NO_BREAK)
}

fn of_objective(objective: &Objective, model: &Model) -> String {
    let subject = match &objective.of {
        RequestsOf::Service(id) => model.service(*id).name.clone(),
        RequestsOf::Route(id, route) => format!("{} {route}", model.service(*id).name),
        RequestsOf::Load(load) => format!("load {load}"),
    };
    let goals = objective.goals.iter().map(|goal| match goal.measure {
        Measure::Errors => format!("errors at most {}", words::share(goal.limit)),
        Measure::Rate => format!("rate at least {}/s", words::number(goal.limit)),
        measure => format!("{} at most {}", measure.name(), words::time(goal.limit as u64)),
    });
    format!("objective {subject}: {}", goals.collect::<Vec<_>>().join(", "))
}

/// A paragraph that hangs behind its first line, in lines of 80 columns where its words allow.
fn paragraph(indent: &str, text: &str) -> String {
    let below = format!("\n{indent}  ");
    let lines = wrap(text, WIDTH - indent.len() - 2).replace('\n', &below).replace(NO_BREAK, " ");
    format!("{indent}{lines}\n")
}
