//! Topics and the groups that consume them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::{Model, Nanos};
use crate::telemetry::console::Style;
use crate::topic::{GroupAccount, GroupCounts, TopicAccount, TopicCounts};

use super::rows::Numbers;
use super::table::{Column, Page};
use super::words::{about, count, number, time};

/// The messages of one topic.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TopicRow {
    pub topic: String,
    #[serde(flatten)]
    pub numbers: TopicNumbers,
    /// In the order of the topology.
    pub groups: Vec<GroupRow>,
}

/// What became of the messages of one topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct TopicNumbers {
    pub partitions: u32,
    /// Messages that it took.
    pub published: u64,
    /// Those that it took while requests were made, for each second of that time: the run's `duration_ns`.
    pub rate: f64,
    /// Of their keys, headers and bodies.
    pub bytes: u64,
    /// Messages that it refused, as a partition was full.
    pub refused: u64,
    /// Messages that were removed: to make room, and as they were old.
    pub dropped: u64,
    pub expired: u64,
    /// Messages that it keeps at the end.
    pub kept: u64,
}

/// The messages of one topic in one group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct GroupRow {
    pub group: String,
    /// The service that consumes it.
    pub service: String,
    /// Messages that a replica got, each as often as it did, and those of them not for the first time.
    pub delivered: u64,
    pub redelivered: u64,
    /// Messages that are done.
    pub done: u64,
    /// Those that were done while requests were made, for each second of that time: the run's `duration_ns`.
    pub rate: f64,
    /// Messages that were given up: as the guest rejected them, and after too many deliveries.
    pub rejected: u64,
    pub exhausted: u64,
    /// Of those, the ones that went to the dead letters.
    pub dead_letters: u64,
    /// Messages that were removed before the group came to them.
    pub missed: u64,
    /// Messages whose partition was taken away while they were processed: they were delivered again.
    pub revoked: u64,
    /// How often partitions were assigned anew, the first times included.
    pub rebalances: u64,
    /// Messages that were not done when no more requests were made, the most at a time, and at the end. After
    /// requests of the command line alone, `lag` is that at the end.
    pub lag: u64,
    pub lag_max: u64,
    pub lag_end: u64,
    /// From the instant at which a message was published until it was done.
    pub age_mean_ns: Nanos,
    pub age_p50_ns: Nanos,
    pub age_p95_ns: Nanos,
    pub age_p99_ns: Nanos,
    pub age_max_ns: Nanos,
    /// Deliveries that a worker had, each of one message or of a batch, from its beginning to its end. The
    /// errors are those that failed, by the `error.type` of their spans: `retry`, `reject`, or what ended
    /// the guest.
    pub processing: Numbers,
}

/// Those that had a message, in the order of the topology. `duration` is that of the run.
pub fn rows(model: &Model, accounts: Vec<TopicAccount>, duration: Nanos) -> Vec<TopicRow> {
    let seconds = duration as f64 / 1e9;
    let rate = |count: u64| if duration == 0 { 0.0 } else { count as f64 / seconds };
    let group = |GroupAccount { group, service, counts, lag }: GroupAccount| {
        let GroupCounts { delivered, redelivered, done, late, rejected, exhausted, dead_letters, .. } =
            counts;
        let GroupCounts { missed, revoked, rebalances, largest_lag, lag_at_end, ages, processed, .. } =
            counts;
        let ages = ages.unwrap_or_default();
        GroupRow {
            group,
            service: model.service(service).name.clone(),
            delivered,
            redelivered,
            done,
            rate: rate(done - late),
            rejected,
            exhausted,
            dead_letters,
            missed,
            revoked,
            rebalances,
            lag: lag_at_end.unwrap_or(lag),
            lag_max: largest_lag,
            lag_end: lag,
            age_mean_ns: ages.mean().round() as Nanos,
            age_p50_ns: ages.quantile(0.5),
            age_p95_ns: ages.quantile(0.95),
            age_p99_ns: ages.quantile(0.99),
            age_max_ns: ages.longest,
            processing: processed.map(|tally| Numbers::new(&tally, duration)).unwrap_or_default(),
        }
    };
    let row = |TopicAccount { name, partitions, counts, kept, groups }: TopicAccount| {
        let TopicCounts { published, late, bytes, refused, dropped, expired } = counts;
        let rate = rate(published - late);
        TopicRow {
            topic: name,
            numbers: TopicNumbers { partitions, published, rate, bytes, refused, dropped, expired, kept },
            groups: groups.into_iter().map(group).collect(),
        }
    };
    let has_any = |account: &TopicAccount| account.counts.published + account.counts.refused > 0;
    accounts.into_iter().filter(has_any).map(row).collect()
}

impl TopicNumbers {
    /// What goes wrong, and what is published most.
    const fn weight(&self) -> (u64, u64) {
        (self.refused + self.dropped, self.published)
    }
}

/// A group, and its topic.
type OfGroup<'a> = (&'a TopicRow, &'a GroupRow);

/// A head, what it counts, and whether any row has counted it.
type Counted<T> = (&'static str, fn(&T) -> u64);

/// Columns that say nothing of a few messages.
const OF_MANY: [&str; 3] = ["rate/s", "age p50", "age p99"];

/// Appends the tables, if there are topics. Of a run with few requests they have no rates and no quantiles.
pub fn write(text: &mut String, style: Style, topics: &[TopicRow], are_few: bool) {
    if topics.is_empty() {
        return;
    }
    let mut page = Page { text, style, left_out: Vec::new() };
    let mut columns: Vec<Column<'_, TopicRow>> = vec![
        ("topic", Box::new(|row| row.topic.clone())),
        ("partitions", Box::new(|row| count(row.numbers.partitions.into()))),
        ("published", Box::new(|row| count(row.numbers.published))),
        ("rate/s", Box::new(|row| number(row.numbers.rate))),
    ];
    let happened: [Counted<TopicRow>; 3] = [
        ("refused", |row| row.numbers.refused),
        ("dropped", |row| row.numbers.dropped),
        ("expired", |row| row.numbers.expired),
    ];
    for (head, of) in happened.into_iter().filter(|(_, of)| topics.iter().any(|row| of(row) > 0)) {
        columns.push((head, Box::new(move |row| count(of(row)))));
    }
    let is_shown = |head: &str| !are_few || !OF_MANY.contains(&head);
    columns.retain(|(head, _)| is_shown(head));
    if !page.text.ends_with("\n\n") {
        page.text.push('\n');
    }
    page.table("topic", topics, |row| row.numbers.weight(), 1, &columns);
    let groups: Vec<OfGroup<'_>> =
        topics.iter().flat_map(|topic| topic.groups.iter().map(move |group| (topic, group))).collect();
    if !groups.is_empty() {
        page.text.push('\n');
        let mut columns = group_columns(&groups);
        columns.retain(|(head, _)| is_shown(head));
        page.table("group", &groups, |(_, row)| (row.lag, row.done), 2, &columns);
    }
    page.close();
    text.push('\n');
}

fn group_columns<'a>(groups: &[OfGroup<'a>]) -> Vec<Column<'a, OfGroup<'a>>> {
    let mut columns: Vec<Column<'a, OfGroup<'a>>> = vec![
        ("group", Box::new(|(_, row)| row.group.clone())),
        ("topic", Box::new(|(topic, _)| topic.topic.clone())),
        ("done", Box::new(|(_, row)| count(row.done))),
        ("rate/s", Box::new(|(_, row)| number(row.rate))),
    ];
    let happened: [Counted<GroupRow>; 5] = [
        ("redelivered", |row| row.redelivered),
        ("given up", |row| row.rejected + row.exhausted),
        ("dead letters", |row| row.dead_letters),
        ("missed", |row| row.missed),
        ("revoked", |row| row.revoked),
    ];
    for (head, of) in happened.into_iter().filter(|(_, of)| groups.iter().any(|(_, row)| of(row) > 0)) {
        columns.push((head, Box::new(move |(_, row)| count(of(row)))));
    }
    columns.push(("lag", Box::new(|(_, row)| count(row.lag))));
    columns.push(("lag max", Box::new(|(_, row)| count(row.lag_max))));
    // Where the run was cut off, or nobody works it off.
    if groups.iter().any(|(_, row)| row.lag_end > 0 && row.lag_end != row.lag) {
        columns.push(("left", Box::new(|(_, row)| count(row.lag_end))));
    }
    columns.push(("age p50", Box::new(|(_, row)| about(row.age_p50_ns, row.age_max_ns))));
    columns.push(("age p99", Box::new(|(_, row)| about(row.age_p99_ns, row.age_max_ns))));
    columns.push(("age max", Box::new(|(_, row)| time(row.age_max_ns))));
    columns
}
