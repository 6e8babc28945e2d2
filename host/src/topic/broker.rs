//! What brokers tell of their topics, by the names of the Collector's receiver `kafkametrics`.

use std::sync::Arc;

use crate::metrics::{LookedAt, Own};
use crate::model::{MessagingSystem, Nanos};
use crate::telemetry::record::{KeyValue, Text};

use super::{Group, Log, Topics};

/// The attributes of that receiver.
const TOPIC: &str = "topic";
const PARTITION: &str = "partition";
const GROUP: &str = "group";

/// The values of an instrument.
type Values = Vec<(Arc<[KeyValue]>, i64)>;

impl Topics {
    /// What each broker tells, in the order of [`brokers`](super::brokers).
    pub fn observed(&self, now: Nanos) -> Vec<Vec<LookedAt>> {
        let mut brokers: Vec<(String, Told)> = Vec::new();
        for (index, log) in self.logs.iter().enumerate() {
            let log = log.borrow();
            if log.settings.system != MessagingSystem::Kafka {
                continue;
            }
            let known = brokers.iter().position(|(name, _)| *name == log.settings.broker);
            let at = known.unwrap_or_else(|| {
                brokers.push((log.settings.broker.clone(), Told::default()));
                brokers.len() - 1
            });
            let told = &mut brokers[at].1;
            told.topic(&log);
            self.groups_at(index).for_each(|group| told.group(&log, &mut group.borrow_mut(), now));
        }
        brokers.into_iter().map(|(_, told)| told.all()).collect()
    }
}

/// What one broker tells.
#[derive(Default)]
struct Told {
    partitions: Values,
    current: Values,
    oldest: Values,
    members: Values,
    offsets: Values,
    lags: Values,
    lag_sums: Values,
}

impl Told {
    fn topic(&mut self, log: &Log) {
        let name: Text = Text::Shared(log.settings.name.as_str().into());
        let topic = KeyValue::new(TOPIC, name);
        self.partitions.push(([topic.clone()].into(), log.partitions().into()));
        for partition in 0..log.partitions() {
            let (oldest, end) = log.range(partition);
            let set: Arc<[_]> = [topic.clone(), KeyValue::new(PARTITION, i64::from(partition))].into();
            self.current.push((Arc::clone(&set), end as i64));
            self.oldest.push((set, oldest as i64));
        }
    }

    fn group(&mut self, log: &Log, group: &mut Group, now: Nanos) {
        let text = |text: &str| Text::Shared(text.into());
        let own = KeyValue::new(GROUP, text(&group.settings.group));
        let topic = KeyValue::new(TOPIC, text(&log.settings.name));
        let of_topic: Arc<[_]> = [own.clone(), topic.clone()].into();
        self.members.push((Arc::clone(&of_topic), group.members(now) as i64));
        for partition in 0..log.partitions() {
            let at = KeyValue::new(PARTITION, i64::from(partition));
            let set: Arc<[_]> = [own.clone(), topic.clone(), at].into();
            self.offsets.push((Arc::clone(&set), group.next_offset(partition) as i64));
            self.lags.push((set, group.lag(partition) as i64));
        }
        self.lag_sums.push((of_topic, group.total_lag() as i64));
    }

    fn all(self) -> Vec<LookedAt> {
        vec![
            (Own::KafkaBrokers, vec![(Arc::default(), 1)]),
            (Own::KafkaPartitions, self.partitions),
            (Own::KafkaCurrentOffset, self.current),
            (Own::KafkaOldestOffset, self.oldest),
            (Own::KafkaGroupMembers, self.members),
            (Own::KafkaGroupOffset, self.offsets),
            (Own::KafkaGroupLag, self.lags),
            (Own::KafkaGroupLagSum, self.lag_sums),
        ]
    }
}
