//! Topics of a topology: logs of messages in partitions, and the groups that consume them.
//!
//! [`Log`] keeps the messages of a topic, [`Group`] says which is delivered next, and to whom. Both are
//! plain data: they are told what time it is. [`Topics`] has those of a world. The bus delivers.

mod broker;
mod conventions;
mod counts;
mod group;
mod growth;
mod log;
mod partitioner;
mod timeline;

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use crate::context::{Baggage, SpanContext};
use crate::error::did_you_mean;
use crate::message::Headers;
use crate::model::{self, MessagingSystem, Model, Nanos};
use crate::rng::Key;

use conventions::Conventions;
use growth::Growth;

pub use conventions::{Described, Operation, of_message};
pub use counts::{GroupAccount, GroupCounts, TopicAccount, TopicCounts};
pub use group::{Absence, Delivered, Delivery, Group, Hold, Next, Outcome, Settled};
pub use growth::{LED_FOR_EACH_CAUSE, Lineage, TooMany};
pub use log::{Full, Log};
pub use timeline::GroupTimeline;

/// A message.
#[derive(Debug)]
pub struct Message {
    pub key: Option<Vec<u8>>,
    /// What the sender has written, without the context.
    pub headers: Headers,
    pub body: Vec<u8>,
    /// The span that sent it, and its baggage: they come as headers where somebody reads these.
    pub context: SpanContext,
    pub baggage: Baggage,
    /// Names what is drawn in the trace of that span.
    pub trace: Key,
    /// Names what is drawn for the message.
    pub draws: Key,
    /// Calls and messages above it.
    pub depth: u32,
    /// Its topic, and those of the messages above it.
    pub lineage: Lineage,
}

impl Message {
    /// Bytes of key, headers and body, which bounds are about.
    pub fn size(&self) -> u64 {
        (self.key.as_ref().map_or(0, Vec::len) + self.headers.size() + self.body.len()) as u64
    }
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub partition: u32,
    pub offset: u64,
}

/// A message that a partition keeps.
#[derive(Debug)]
pub struct Record {
    pub message: Rc<Message>,
    /// When the broker had it: nanoseconds since the Unix epoch.
    pub published: Nanos,
    /// From 0: others are copies of one message.
    pub copy: u32,
    /// What faults have made of it; none where none has struck it.
    pub fate: Option<Rc<Fate>>,
}

impl Record {
    /// Whether no group ever gets it.
    pub fn is_lost(&self) -> bool {
        self.fate.as_ref().is_some_and(|fate| fate.is_lost)
    }
}

/// What faults make of a message that has come to its broker. Times are nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// Before it is in its partition.
    pub on_the_way: Nanos,
    /// From then until members may have it, beside what that takes anyway.
    pub hidden: Nanos,
    /// It is kept, and no group ever gets it.
    pub is_lost: bool,
    /// It is in its partition twice.
    pub is_doubled: bool,
    /// The faults that have struck it, by their places in the model, with the numbers of their windows.
    pub struck: Vec<(usize, u64)>,
}

/// A message that has come into its partition.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    pub message: &'a Message,
    /// When it was due there, without what faults took on its way: nanoseconds since the Unix epoch.
    pub due: Nanos,
    /// No group ever gets it.
    pub is_lost: bool,
}

/// Hears of messages that have come.
pub trait Listener {
    /// A message has come into a partition of a topic.
    fn published(&self, topic: usize, partition: u32, arrival: Arrival<'_>);
}

/// The brokers of a topology that tell how their topics are, in the order of the file: those of Kafka.
pub fn brokers(model: &Model) -> Vec<&str> {
    let mut brokers: Vec<&str> = Vec::new();
    for topic in model.topics.iter().filter(|topic| topic.system == MessagingSystem::Kafka) {
        if !brokers.contains(&topic.broker.as_str()) {
            brokers.push(&topic.broker);
        }
    }
    brokers
}

/// The topics of a world, and their groups.
#[derive(Default)]
pub struct Topics {
    logs: Vec<RefCell<Log>>,
    /// In the order of the subscriptions.
    groups: Vec<RefCell<Group>>,
    /// By topic, the places of its groups.
    of: Vec<Vec<usize>>,
    /// What spans say of each topic, and of each group.
    topics: Vec<Conventions>,
    consumers: Vec<Conventions>,
    /// Calls and messages may be this deep.
    depth: u32,
    /// How many messages were sent that others have led to, and how many may be.
    pub growth: Growth,
    listener: OnceCell<Rc<dyn Listener>>,
}

impl Topics {
    /// Those of a run that begins at `start`.
    pub fn new(model: &Model, start: Nanos) -> Self {
        Self::of(&model.topics, &model.subscriptions, model.bounds.call_depth, start)
    }

    /// These topics and groups, in a run that begins at `start`. Calls and messages may be this deep.
    pub fn of(
        topics: &[model::Topic],
        subscriptions: &[model::Subscription],
        depth: u32,
        start: Nanos,
    ) -> Self {
        let group = |of: &model::Subscription| Group::new(of, topics[of.topic].partitions, start);
        let kept = Rc::default();
        let of = |topic| {
            let all = subscriptions.iter().enumerate();
            all.filter(|(_, one)| one.topic == topic).map(|(place, _)| place).collect()
        };
        Self {
            of: (0..topics.len()).map(of).collect(),
            topics: topics.iter().map(|_| Conventions::default()).collect(),
            consumers: subscriptions.iter().map(|_| Conventions::default()).collect(),
            depth,
            logs: topics.iter().map(|topic| RefCell::new(Log::new(topic, &kept))).collect(),
            groups: subscriptions.iter().map(|of| RefCell::new(group(of))).collect(),
            growth: Growth::default(),
            listener: OnceCell::new(),
        }
    }

    /// Tells `listener` of what comes from now on. There is one, and it stays.
    pub fn listen(&self, listener: Rc<dyn Listener>) {
        assert!(self.listener.set(listener).is_ok(), "topics have one listener");
    }

    pub fn logs(&self) -> &[RefCell<Log>] {
        &self.logs
    }

    /// In the order of the subscriptions.
    pub fn groups(&self) -> &[RefCell<Group>] {
        &self.groups
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.logs.iter().position(|log| log.borrow().settings.name == name)
    }

    /// The topic of this name.
    ///
    /// # Errors
    /// There is none; the text says which there are.
    pub fn named(&self, name: &str) -> Result<usize, String> {
        self.find(name).ok_or_else(|| {
            let names: Vec<_> = self.logs.iter().map(|log| log.borrow().settings.name.clone()).collect();
            match names.is_empty() {
                true => format!("the topology has no topics: define [topics.{name}]"),
                false => did_you_mean(name, "topics", names.iter().map(String::as_str)),
            }
        })
    }

    /// Calls and messages may be this deep.
    pub const fn depth(&self) -> u32 {
        self.depth
    }

    /// What spans of an operation say of a topic.
    pub fn described(&self, topic: usize, operation: Operation) -> Described {
        self.topics[topic].get(&self.logs[topic].borrow().settings, operation, None)
    }

    /// What CONSUMER spans of a group say.
    pub fn consumer(&self, group: usize) -> Described {
        let settings = &self.groups[group].borrow().settings;
        let topic = &self.logs[settings.topic].borrow().settings;
        self.consumers[group].get(topic, Operation::Process, Some(&settings.group))
    }

    /// The groups of a topic.
    fn groups_at(&self, topic: usize) -> impl Iterator<Item = &RefCell<Group>> {
        self.of[topic].iter().map(|place| &self.groups[*place])
    }

    /// The places of the groups of a topic among all groups.
    pub fn groups_of(&self, topic: usize) -> &[usize] {
        &self.of[topic]
    }

    /// Puts a message into a partition, now: its offset. One that a fault has doubled is there again
    /// behind it, if there is room.
    ///
    /// # Errors
    /// The partition is full.
    pub fn publish(&self, topic: usize, partition: u32, record: Record, now: Nanos) -> Result<u64, Full> {
        let done = || self.groups_at(topic).map(|group| group.borrow().next_offset(partition)).min();
        let message = Rc::clone(&record.message);
        let due = record.published - record.fate.as_ref().map_or(0, |fate| fate.on_the_way);
        let is_lost = record.is_lost();
        let again = record.fate.as_ref().filter(|fate| fate.is_doubled).map(|fate| Record {
            message: Rc::clone(&record.message),
            published: record.published,
            copy: record.copy + 1,
            fate: Some(Rc::clone(fate)),
        });
        let offset = {
            let mut log = self.logs[topic].borrow_mut();
            let offset = log.append(partition, record, done, now)?;
            // A second copy that finds no room is refused like a message, and its sender has the first.
            again.into_iter().for_each(|again| _ = log.append(partition, again, done, now));
            offset
        };
        self.growth.sends(&message.lineage);
        let (_, end) = self.logs[topic].borrow().range(partition);
        for group in self.groups_at(topic) {
            group.borrow_mut().grew(partition, end, now);
        }
        if let Some(listener) = self.listener.get() {
            listener.published(topic, partition, Arrival { message: &message, due, is_lost });
        }
        Ok(offset)
    }

    /// What a group does next with a partition, now.
    pub fn next(&self, group: usize, partition: u32, now: Nanos) -> Next {
        let mut group = self.groups[group].borrow_mut();
        let mut log = self.logs[group.settings.topic].borrow_mut();
        log.expire(partition, now);
        group.next(&log, partition, now)
    }

    /// No more requests are made. How far each group lags behind then is told if they were made over some
    /// time: requests of the command line alone end as soon as the last has its answer. Only the first time
    /// counts.
    pub fn requests_end(&self, is_lag_told: bool, now: Nanos) {
        self.logs.iter().for_each(|log| log.borrow_mut().requests_end());
        self.groups.iter().for_each(|group| group.borrow_mut().requests_end(is_lag_told, now));
    }

    /// Messages that groups are done with, or have given up.
    pub fn settled(&self) -> u64 {
        self.groups.iter().map(|group| group.borrow().settled()).sum()
    }

    /// Messages that groups are not done with.
    pub fn lag(&self) -> u64 {
        self.groups.iter().map(|group| group.borrow().total_lag()).sum()
    }

    /// What was counted so far.
    pub fn accounts(&self) -> Vec<TopicAccount> {
        let account = |(topic, log): (usize, &RefCell<Log>)| {
            let log = log.borrow();
            let groups = self.groups_at(topic).map(|group| group.borrow().account());
            log.account(groups.collect())
        };
        self.logs.iter().enumerate().map(account).collect()
    }
}

impl std::fmt::Debug for Topics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Topics").field("logs", &self.logs).finish_non_exhaustive()
    }
}
