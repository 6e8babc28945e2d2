//! How many messages a world may send that others have led to: rings of topics send without end, and
//! consumers that send many messages for each one multiply them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Poll, Waker};

use crate::model::ServiceId;

/// Messages that a world may send whatever happens in it: those of rings, and the others that messages have
/// led to.
const IN_ANY_CASE: u64 = 100_000;

/// Further messages of rings for each request from outside and each run of a job.
const ROUND_FOR_EACH_CAUSE: u64 = 10_000;

/// Further messages of no ring that messages have led to, for each of the same. `simhost check` warns of a
/// request that leads to more.
pub const LED_FOR_EACH_CAUSE: u64 = 100_000;

/// The topics of the messages that have led to something: of the last one, of the one above it, and so on.
#[derive(Clone, Debug, Default)]
pub struct Lineage(Option<Rc<Step>>);

#[derive(Debug)]
struct Step {
    topic: u32,
    /// The service that has sent it.
    by: ServiceId,
    above: Lineage,
    /// A topic is there more than once.
    goes_round: bool,
}

impl Lineage {
    /// That of a message to a topic, sent by a service for what has this one.
    pub fn below(&self, topic: usize, by: ServiceId) -> Self {
        let topic = topic as u32;
        let goes_round = self.goes_round() || self.steps().any(|above| above.topic == topic);
        Self(Some(Rc::new(Step { topic, by, above: self.clone(), goes_round })))
    }

    /// Whether a message has led to another one of its topic.
    pub fn goes_round(&self) -> bool {
        self.0.as_ref().is_some_and(|step| step.goes_round)
    }

    /// Whether a message has led to this one.
    fn is_led(&self) -> bool {
        self.0.as_ref().is_some_and(|step| step.above.0.is_some())
    }

    /// The last one first.
    fn steps(&self) -> impl Iterator<Item = &Step> {
        std::iter::successors(self.0.as_deref(), |step| step.above.0.as_deref())
    }

    /// The services and the topics that they have sent to, the first one first.
    pub fn way(&self) -> Vec<(ServiceId, usize)> {
        let mut steps: Vec<_> = self.steps().map(|step| (step.by, step.topic as usize)).collect();
        steps.reverse();
        steps
    }

    /// The topics of the first ring in it, from a topic back to the same.
    fn ring(&self) -> Vec<usize> {
        let topics: Vec<_> = self.way().into_iter().map(|(_, topic)| topic).collect();
        for (end, topic) in topics.iter().enumerate() {
            if let Some(start) = topics[..end].iter().rposition(|above| above == topic) {
                return topics[start..=end].to_vec();
            }
        }
        Vec::new()
    }
}

/// More messages were sent than a world may send.
#[derive(Clone, Debug)]
pub enum TooMany {
    /// That lead back to their topic.
    Round { sent: u64, most: u64 },
    /// That other messages have led to, the last of them with this lineage.
    Led { sent: u64, most: u64, last: Lineage },
}

/// Messages that others have led to, and what may have led to them.
#[derive(Debug, Default)]
pub struct Growth {
    causes: Cell<u64>,
    /// Messages of rings.
    round: Cell<u64>,
    /// That of the last of them.
    last_round: RefCell<Lineage>,
    /// Messages of no ring that messages have led to.
    led: Cell<u64>,
    /// That of the first of them that is too many.
    beyond: RefCell<Lineage>,
    /// Who waits for [too many](Self::too_many).
    waiting: RefCell<Option<Waker>>,
}

impl Growth {
    /// A request has come from outside, or a run of a job begins.
    pub fn begins(&self) {
        self.causes.set(self.causes.get() + 1);
    }

    /// A message was sent.
    pub(super) fn sends(&self, lineage: &Lineage) {
        if lineage.goes_round() {
            self.round.set(self.round.get() + 1);
            self.last_round.replace(lineage.clone());
        } else if lineage.is_led() {
            self.led.set(self.led.get() + 1);
            if self.led.get() == self.most(LED_FOR_EACH_CAUSE) + 1 {
                self.beyond.replace(lineage.clone());
            }
        } else {
            return;
        }
        if self.is_over()
            && let Some(waiting) = self.waiting.take()
        {
            waiting.wake();
        }
    }

    /// Messages that others of their topic, or of one above it, have led to so far.
    pub const fn round(&self) -> u64 {
        self.round.get()
    }

    /// The topics of a ring that the last of them has come from: the first is the last one too.
    pub fn ring(&self) -> Vec<usize> {
        self.last_round.borrow().ring()
    }

    /// Requests from outside and runs of jobs so far.
    pub const fn causes(&self) -> u64 {
        self.causes.get()
    }

    /// The most messages that these may lead to.
    const fn most(&self, for_each: u64) -> u64 {
        IN_ANY_CASE.saturating_add(for_each.saturating_mul(self.causes.get()))
    }

    const fn is_over(&self) -> bool {
        self.round.get() > self.most(ROUND_FOR_EACH_CAUSE) || self.led.get() > self.most(LED_FOR_EACH_CAUSE)
    }

    /// Of which messages too many were sent, if they were.
    pub fn too_many(&self) -> Option<TooMany> {
        let [round, led] = [ROUND_FOR_EACH_CAUSE, LED_FOR_EACH_CAUSE].map(|for_each| self.most(for_each));
        if self.round.get() > round {
            return Some(TooMany::Round { sent: self.round.get(), most: round });
        }
        let last = || self.beyond.borrow().clone();
        (self.led.get() > led).then(|| TooMany::Led { sent: self.led.get(), most: led, last: last() })
    }

    /// Waits until too many were sent. One task waits at a time.
    pub async fn over(&self) {
        std::future::poll_fn(|context| {
            if self.is_over() {
                return Poll::Ready(());
            }
            *self.waiting.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(topics: &[usize]) -> Lineage {
        topics.iter().fold(Lineage::default(), |above, topic| above.below(*topic, ServiceId(7)))
    }

    #[test]
    fn messages_count_from_the_first_that_leads_back_to_a_topic() {
        let growth = Growth::default();
        for (topics, sent) in
            [(&[3][..], 0), (&[3, 1, 2], 0), (&[3, 1, 2, 1], 1), (&[3, 1, 2, 1, 7], 2), (&[3, 7], 2)]
        {
            growth.sends(&of(topics));
            assert_eq!(growth.round(), sent, "{topics:?}");
        }
        assert_eq!(growth.ring(), [1, 2, 1]);
        assert!(!of(&[]).goes_round() && of(&[]).ring().is_empty());
    }
    #[test]
    fn messages_that_others_have_led_to_have_a_bound_for_each_cause() {
        let growth = Growth::default();
        growth.begins();
        for _ in 0..IN_ANY_CASE + LED_FOR_EACH_CAUSE {
            growth.sends(&of(&[1]));
            growth.sends(&of(&[1, 2]));
        }
        assert!(growth.too_many().is_none());
        growth.sends(&of(&[1, 3]));
        let Some(TooMany::Led { sent: 200_001, most: 200_000, last }) = growth.too_many() else {
            panic!("{growth:?}")
        };
        assert_eq!(last.way(), [(ServiceId(7), 1), (ServiceId(7), 3)]);
        growth.begins();
        assert!(growth.too_many().is_none());
    }
}
