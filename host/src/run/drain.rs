//! What is under way when no more requests are made: it is seen through to its end, within bounds.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::bus::Bus;
use crate::clock;
use crate::error::quote;
use crate::model::{Nanos, ServiceId};
use crate::report::words::{count, counted};
use crate::sched::Sched;
use crate::topic::{Lineage, TooMany, Topics};

use super::Failure;

/// Callees that still work when a run in real time ends have this long: simulated nanoseconds.
const REAL: Nanos = 10_000_000_000;

/// A group that is done with no message for this long, after the last request, never will be: its members die
/// before they get any, for example. Simulated nanoseconds.
const STUCK: Nanos = 3_600_000_000_000;

/// For this long after the last request messages may lead to further messages, and for this much longer for
/// each message that groups lag behind then: simulated nanoseconds.
const AT_MOST: Nanos = 24 * 3_600_000_000_000;
const FOR_EACH_MESSAGE: Nanos = 60_000_000_000;

/// A run in virtual time that is told to stop lets groups work for this long, and longer while requests from
/// outside are under way.
const TOLD: Duration = Duration::from_secs(1);

/// Groups that a failure names: those that lag most.
const GROUPS_AT_MOST: usize = 3;

/// Topics of a ring, and topics and services of another way, that a failure names.
const STEPS_AT_MOST: usize = 6;

/// The end of a run.
pub struct Drain<'a> {
    pub bus: &'a Rc<Bus>,
    pub sched: &'a Sched,
    pub network: &'a Runtime,
    pub stop: &'a watch::Sender<bool>,
    /// Whether `stop` turns true only if somebody cannot wait.
    pub is_stop_a_signal: bool,
    /// When the run began: nanoseconds since the Unix epoch.
    pub start: Nanos,
}

impl Drain<'_> {
    /// Waits for all that is under way, for as long as that makes sense. Why it was cut off, if something is
    /// wrong with what was left.
    pub async fn run(&self) -> Option<Failure> {
        let done = async {
            if self.sched.is_virtual() {
                self.work_off().await
            } else {
                select(pin!(self.sched.drained()), self.sched.sleep(REAL)).await;
                None
            }
        };
        match select(pin!(done), pin!(self.cut_off())).await {
            Either::Left((failure, _)) => failure,
            Either::Right(_) => self.too_many(),
        }
    }

    fn topics(&self) -> &Topics {
        &self.bus.host().topics
    }

    /// Waits in virtual time: patience costs nothing, where there is an end.
    async fn work_off(&self) -> Option<Failure> {
        let topics = self.topics();
        let (end, lag) = (self.sched.now(), topics.lag());
        let at_most = AT_MOST.saturating_add(FOR_EACH_MESSAGE.saturating_mul(lag));
        let mut drained = pin!(self.sched.drained());
        while !topics.groups().is_empty() {
            let (settled, sent) = (topics.settled(), topics.growth.round());
            let waited = select(drained.as_mut(), self.sched.sleep(STUCK)).await;
            if matches!(waited, Either::Left(_)) || topics.lag() > 0 && topics.settled() == settled {
                return None;
            }
            let took = self.sched.now() - end;
            if took >= at_most && topics.growth.round() > sent {
                let took = clock::show(took);
                let ring = self.ring();
                let what = format!("{took} after the last request messages still go round ({ring})");
                return Some(self.failure(what));
            }
        }
        drained.await;
        None
    }

    /// Waits until messages have led to too many, or somebody cannot wait and only groups still work.
    async fn cut_off(&self) {
        let told = async {
            if !self.is_stop_a_signal || !self.sched.is_virtual() || self.topics().groups().is_empty() {
                std::future::pending::<()>().await;
            }
            // The sender lives as long as the network does.
            self.stop.subscribe().wait_for(|stop| *stop).await.ok();
            loop {
                self.network.spawn(async { tokio::time::sleep(TOLD).await }).await.ok();
                if self.bus.inside() == 0 {
                    break;
                }
            }
        };
        select(pin!(told), pin!(self.topics().growth.over())).await;
    }

    /// Messages have led to more messages than a run may send.
    fn too_many(&self) -> Option<Failure> {
        let growth = &self.topics().growth;
        let too_many = growth.too_many()?;
        let after = clock::show(self.sched.now() - self.start);
        let causes = match growth.causes() {
            1 => "1 request or run of a job".to_owned(),
            causes => format!("{} requests and runs of jobs", count(causes)),
        };
        let failure = match too_many {
            TooMany::Round { sent, most } => {
                let led = format!("led to {} messages that go round ({})", count(sent), self.ring());
                self.failure(format!("after {after} {causes} {led}, and {} are the most", count(most)))
            }
            TooMany::Led { sent, most, last } => {
                let led = format!("led to {} messages that consumers sent, {}", count(sent), self.way(&last));
                let failure =
                    self.failure(format!("after {after} {causes} {led}, and {} are the most", count(most)));
                Failure { help: "let a consumer send fewer messages for each one that it takes", ..failure }
            }
        };
        Some(failure)
    }

    /// The last message that was sent, and the way that led to it:
    /// `the last by "mailer" to the topic "mails" (shop -> orders -> mailer -> mails)`.
    fn way(&self, last: &Lineage) -> String {
        let name = |(by, topic): &(ServiceId, usize)| {
            let topic = self.topics().logs()[*topic].borrow().settings.name.clone();
            (self.bus.nodes()[by.index()].name.to_string(), topic)
        };
        let names: Vec<_> = last.way().iter().map(name).collect();
        let of_last = names.last().map_or_else(String::new, |(by, topic)| {
            format!("the last by {} to the topic {}", quote(by), quote(topic))
        });
        let mut steps: Vec<_> = names.into_iter().flat_map(|(by, topic)| [by, topic]).collect();
        shorten(&mut steps);
        format!("{of_last} ({})", steps.join(" -> "))
    }

    /// The topics of a ring: `orders -> invoices -> orders`.
    fn ring(&self) -> String {
        let topics = self.topics();
        let name = |topic: &usize| topics.logs()[*topic].borrow().settings.name.clone();
        let mut steps: Vec<_> = topics.growth.ring().iter().map(name).collect();
        shorten(&mut steps);
        steps.join(" -> ")
    }

    /// `what`, and the groups that are not done.
    fn failure(&self, mut what: String) -> Failure {
        let topics = self.topics();
        let mut left: Vec<_> = topics.groups().iter().map(|group| group.borrow()).collect();
        left.retain(|group| group.total_lag() > 0);
        left.sort_by_key(|group| std::cmp::Reverse(group.total_lag()));
        for group in left.iter().take(GROUPS_AT_MOST) {
            let topic = &topics.logs()[group.settings.topic].borrow().settings.name;
            let (lag, name) = (counted(group.total_lag(), "message"), quote(&group.settings.group));
            what.push_str(&format!("; the group {name} has {lag} of the topic {} left", quote(topic)));
        }
        match left.len().saturating_sub(GROUPS_AT_MOST) {
            0 => {}
            1 => what.push_str("; 1 other group has some too"),
            others => what.push_str(&format!("; {others} other groups have some too")),
        }
        Failure {
            what,
            help: "let a consumer send fewer messages than it takes, or send to a topic outside of the ring",
        }
    }
}

/// Leaves out what is in the middle of many steps.
fn shorten(steps: &mut Vec<String>) {
    if steps.len() > STEPS_AT_MOST + 1 {
        let more = steps.len() - STEPS_AT_MOST;
        steps.splice(STEPS_AT_MOST / 2..STEPS_AT_MOST / 2 + more, [format!("({more} more)")]);
    }
}
