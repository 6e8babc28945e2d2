//! A fault in a line that a person reads.

use crate::clock::show;
use crate::model::{
    Chance, Condition, Distribution, FailFirst, Fault, Model, Part, Schedule, Target, Test, TopicTarget, When,
};
use crate::report::words;
use crate::topology::show_distribution;

/// What a fault does, to whom, how often and when.
pub fn line(fault: &Fault, model: &Model) -> String {
    let state = if fault.enabled { "on" } else { "off" };
    let mut line = format!("fault {}: {state}, {}{}", fault.name, fault.kind.name, fault.detail);
    let targets = fault.targets().iter().map(|target| of_target(target, model));
    let databases = fault.databases().iter().map(|at| format!("the database {}", model.databases[*at].name));
    let caches = fault.caches().iter().map(|at| format!("the cache {}", model.caches[*at].name));
    let topics = fault.topics().iter().map(|topic| of_topic(topic, model));
    let targets: Vec<_> = targets.chain(databases).chain(caches).chain(topics).collect();
    match &targets[..] {
        [] => {}
        [only] => line.push_str(&format!(" at {only}")),
        several => line.push_str(&format!(" at one of {}", several.join("; "))),
    }
    let conditions: Vec<_> = fault.conditions.iter().map(of_condition).collect();
    if !conditions.is_empty() {
        line.push_str(&format!(" if {}", conditions.join(" and ")));
    }
    for part in of_chance(&fault.chance).into_iter().chain(of_when(&fault.when, model)) {
        line.push_str(", ");
        line.push_str(&part);
    }
    line
}

fn of_target(target: &Target, model: &Model) -> String {
    let name = |id| &model.service(id).name;
    let mut text = name(target.service).clone();
    if let Some(replica) = target.replica {
        text.push_str(&format!(" (replica {replica})"));
    }
    if let Some((route, _)) = &target.route {
        text.push_str(&format!(" {route}"));
    }
    if let Some((span, _)) = &target.span {
        text.push_str(&format!(" in {span}"));
    }
    if let Some(from) = target.from {
        text.push_str(&format!(" called by {}", name(from)));
    }
    if let Some(replica) = target.from_replica {
        text.push_str(&format!(" (replica {replica})"));
    }
    text
}

fn of_topic(target: &TopicTarget, model: &Model) -> String {
    let mut text = format!("the topic {}", model.topics[target.topic].name);
    if let Some(group) = &target.group {
        text.push_str(&format!(" (group {group})"));
    }
    if let Some(partition) = target.partition {
        text.push_str(&format!(" (partition {partition})"));
    }
    text
}

fn of_condition(condition: &Condition) -> String {
    let part = match &condition.of {
        Part::Method => "method".to_owned(),
        Part::Header(name) => format!("header.{name}"),
        Part::Baggage(key) => format!("baggage.{key}"),
        Part::Param(name) => format!("param.{name}"),
        Part::Body(pointer) => format!("body.{pointer}"),
    };
    let test = match &condition.test {
        Test::Exists(true) => "is there".to_owned(),
        Test::Exists(false) => "is not there".to_owned(),
        Test::Eq(value) => format!("is {value}"),
        Test::Ne(value) => format!("is not {value}"),
        Test::Gt(number) => format!("is above {number}"),
        Test::Ge(number) => format!("is {number} or more"),
        Test::Lt(number) => format!("is below {number}"),
        Test::Le(number) => format!("is {number} or less"),
        Test::In(values) => {
            let values: Vec<_> = values.iter().map(ToString::to_string).collect();
            format!("is one of {}", values.join(", "))
        }
        Test::Regex(regex) => format!("is like {:?}", regex.as_str()),
    };
    format!("{part} {test}")
}

fn of_chance(chance: &Chance) -> Vec<String> {
    let Chance { probability, fail_first, every_nth, max_active, max_total, by_caller } = chance;
    let first = fail_first.map(|first| match first {
        FailFirst::Of(count) => format!("the first {count} of each window"),
        FailFirst::Attempts(count) => format!("the first {count} attempts of each call"),
    });
    let parts = [
        by_caller.then(|| "where the caller asks for it".to_owned()),
        first,
        every_nth.map(|nth| format!("each one in {nth}")),
        (*probability < 1.0).then(|| format!("{} of them", words::share(*probability))),
        max_active.map(|most| format!("at most {most} at a time")),
        max_total.map(|most| format!("at most {most} in all")),
    ];
    parts.into_iter().flatten().collect()
}

fn of_when(when: &When, model: &Model) -> Vec<String> {
    let for_long = |lasting: &Option<Distribution>| match lasting {
        Some(lasting) => format!(" for {}", show_distribution(lasting)),
        None => String::new(),
    };
    let schedule = match &when.schedule {
        Schedule::Always => None,
        Schedule::Fixed { at, lasting, every } => {
            let every = every.map_or_else(String::new, |every| format!(" every {}", show(every)));
            Some(format!("from {}{}{every}", show_distribution(at), for_long(lasting)))
        }
        Schedule::Random { between, hold } => {
            Some(format!("by itself: after {} for {}", show_distribution(between), show_distribution(hold)))
        }
        Schedule::After { fault, delay, lasting } => {
            let (delay, name) = (show_distribution(delay), &model.faults[*fault].name);
            Some(format!("{delay} after {name}{}", for_long(lasting)))
        }
    };
    let ramp = (when.ramp > 0).then(|| format!("growing over {}", show(when.ramp)));
    schedule.into_iter().chain(ramp).collect()
}
