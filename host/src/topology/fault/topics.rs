//! `target = { topic = "…" }`: the messages of a topic, or the groups that consume it.

use toml::de::DeValue;

use super::super::key::Type;
use super::super::reader::{Table, Value};
use super::super::section;
use super::super::topic;
use super::Surroundings;
use super::kinds::{Declaration, LooksAt, Scope, declarations};
use super::target_keys::{EACH, GROUP, ONE_OF, PARTITION, SEVERAL, TARGET, TOPIC, several_of};
use crate::error::{Problem, did_you_mean, list, quote};
use crate::model::TopicTarget;

const REMEDY: &str = "name the topic that the fault strikes: target = { topic = \"…\" }";

/// Whether a fault strikes a topic: kinds that strike nothing else do, and those that may if their target
/// names one.
pub(super) fn is_at_topics(fault: &Table<'_>, kind: &Declaration) -> bool {
    match kind.looks_at {
        LooksAt::Messages | LooksAt::Groups => true,
        _ if !kind.in_topics => false,
        _ => TARGET.get(fault).is_some_and(|target| match target.item() {
            item @ DeValue::Table(keys) => {
                let several = keys.iter().find(|(key, _)| key.get_ref() == ONE_OF.name);
                names_topic(item) || several.is_some_and(|(_, several)| any_names_topic(several.get_ref()))
            }
            _ => false,
        }),
    }
}

fn names_topic(target: &DeValue<'_>) -> bool {
    matches!(target, DeValue::Table(keys) if keys.iter().any(|(key, _)| key.get_ref() == TOPIC.name))
}

fn any_names_topic(targets: &DeValue<'_>) -> bool {
    matches!(targets, DeValue::Array(targets) if targets.iter().any(|one| names_topic(one.get_ref())))
}

/// The topic that a fault strikes, or those of which one is drawn.
pub(super) fn topics(
    fault: &Table<'_>,
    kind: &Declaration,
    around: &Surroundings<'_>,
) -> Option<Vec<TopicTarget>> {
    const EXAMPLE: &str = "{ topic = \"a\" }, { topic = \"b\", partition = 1 }";
    let table = fault.need(TARGET.name, TARGET.get(fault), REMEDY)?.table("the target")?;
    table.know(section::names(SEVERAL.keys));
    table.refuse_others();
    let Some(several) = ONE_OF.get(&table) else {
        return target(&table, kind, around).map(|target| vec![target]);
    };
    let read = |value: &Value<'_>| target(&EACH.open(value, "each target of one-of")?, kind, around);
    let found: Vec<_> = several_of(&table, &several, EXAMPLE)?.iter().map(read).collect();
    found.into_iter().collect()
}

fn target(table: &Table<'_>, kind: &Declaration, around: &Surroundings<'_>) -> Option<TopicTarget> {
    let is_of_groups = kind.looks_at == LooksAt::Groups;
    let own = if is_of_groups { GROUP.name } else { PARTITION.name };
    let is_alien = |key: &str| SEVERAL.has(key) && ![TOPIC.name, own].contains(&key);
    for other in table.entries().iter().filter(|entry| is_alien(entry.key)) {
        let help = match other.key {
            "group" => "leave it out: messages are struck as they come to the topic, for all groups",
            "partition" => "leave it out: a group is held up in all of its partitions",
            _ => "leave it out: it strikes a topic, whoever sends or consumes its messages",
        };
        other.refuse_key::<()>(kind.scope().takes_no(&format!("target.{}", other.key)).help(help));
    }
    let value = table.need(TOPIC.name, TOPIC.get(table), REMEDY)?;
    let topic = topic::find(&value, around.topic_names)?;
    let group = group_of(table, &value, topic, is_of_groups, around);
    let partition = partition_of(table, topic, around);
    Some(TopicTarget { topic, group: group?, partition: partition?, place: value.place() })
}

/// The group, which is one of the topic's.
fn group_of(
    table: &Table<'_>,
    of: &Value<'_>,
    topic: usize,
    is_of_groups: bool,
    around: &Surroundings<'_>,
) -> Option<Option<String>> {
    let value = GROUP.get(table);
    // Of a subscription that could not be read the group is not known.
    let Some(groups) = around.groups.filter(|_| is_of_groups) else { return GROUP.read(table) };
    let known: Vec<&str> =
        groups.iter().filter(|(of, _)| *of == topic).map(|(_, name)| name.as_str()).collect();
    let name = quote(&around.topic_names[topic]);
    if known.is_empty() {
        let problem = Problem::new(format!("nobody consumes the topic {name}")).label("it has no groups");
        return of.refuse(problem.help(format!("add [[subscriptions]] with topic = {name} and a service")));
    }
    let Some(value) = value else { return Some(None) };
    let group = GROUP.of.read(&value)?;
    if known.contains(&group.as_str()) {
        return Some(Some(group));
    }
    let problem = Problem::new(format!("the topic {name} has no group {}", quote(&group)));
    value.refuse(problem.label("no such group").help(did_you_mean(&group, "groups", known)))
}

/// A partition of the topic, by its number.
fn partition_of(table: &Table<'_>, topic: usize, around: &Surroundings<'_>) -> Option<Option<u32>> {
    let Some(value) = PARTITION.get(table) else { return Some(None) };
    let number = PARTITION.of.read(&value)?;
    let name = &around.topic_names[topic];
    // None: something is wrong with it.
    let known = around.topics.iter().find(|topic| topic.name == *name);
    let last = known.map_or(u32::MAX, |topic| topic.partitions - 1);
    if number <= last {
        return Some(Some(number));
    }
    let (partitions, help) = match last {
        0 => ("one partition".to_owned(), "leave it out, or give the topic more partitions".to_owned()),
        _ => (
            format!("{} partitions", last + 1),
            format!("partitions count from 0: write a number from 0 to {last}"),
        ),
    };
    let problem =
        Problem::new(format!("{} has {partitions}, and none with the number {number}", quote(name)));
    value.refuse(problem.label("no such partition").help(help))
}

/// Notes keys of a topic in the target of a kind that strikes none.
pub(super) fn refuse(table: &Table<'_>, kind: &Declaration) {
    let keys = [TOPIC.get(table), GROUP.get(table), PARTITION.get(table)];
    for value in keys.iter().flatten() {
        let kinds = list(declarations().filter(|kind| kind.in_topics).map(|kind| kind.kind.name));
        let help = format!("leave it out: topics are struck by {kinds}");
        value.refuse_key::<()>(kind.scope().takes_no(&format!("target.{}", value.key)).help(help));
    }
}

/// Notes conditions on what a message has not.
pub(super) fn refuse_parts(conditions: &Value<'_>, scope: &Scope) -> Option<()> {
    if scope.looks_at != LooksAt::Messages {
        return Some(());
    }
    let table = conditions.table("match")?;
    let is_alien = |key: &str| key == "method" || key == "param" || key.starts_with("param.");
    let mut allowed = Some(());
    for entry in table.entries().iter().filter(|entry| is_alien(entry.key)) {
        let problem =
            Problem::new(format!("a message has no {}", quote(entry.key))).label("no part of a message");
        let help = "write header.NAME, baggage.KEY or body./POINTER";
        allowed = entry.refuse_key::<()>(problem.help(help));
    }
    allowed
}
