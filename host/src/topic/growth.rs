//! How many messages a world may send that lead back to their topic: rings of topics may do so without end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Messages of rings that a world may send whatever happens in it.
const IN_ANY_CASE: u64 = 100_000;

/// Further ones for each request from outside and each run of a job.
const FOR_EACH_CAUSE: u64 = 10_000;

/// The topics of the messages that have led to something: of the last one, of the one above it, and so on.
#[derive(Clone, Debug, Default)]
pub struct Lineage(Option<Rc<Step>>);

#[derive(Debug)]
struct Step {
    topic: usize,
    above: Lineage,
    /// A topic is there more than once.
    goes_round: bool,
}

impl Lineage {
    /// That of a message to a topic, sent by what has this one.
    pub fn below(&self, topic: usize) -> Self {
        let goes_round = self.goes_round() || self.steps().any(|above| above.topic == topic);
        Self(Some(Rc::new(Step { topic, above: self.clone(), goes_round })))
    }

    /// Whether a message has led to another one of its topic.
    pub fn goes_round(&self) -> bool {
        self.0.as_ref().is_some_and(|step| step.goes_round)
    }

    /// The last one first.
    fn steps(&self) -> impl Iterator<Item = &Step> {
        std::iter::successors(self.0.as_deref(), |step| step.above.0.as_deref())
    }

    /// The topics of the first ring in it, from a topic back to the same.
    fn ring(&self) -> Vec<usize> {
        let mut topics: Vec<_> = self.steps().map(|step| step.topic).collect();
        topics.reverse();
        for (end, topic) in topics.iter().enumerate() {
            if let Some(start) = topics[..end].iter().rposition(|above| above == topic) {
                return topics[start..=end].to_vec();
            }
        }
        Vec::new()
    }
}

/// Messages of rings that were sent, and what may have led to them.
#[derive(Debug, Default)]
pub struct Growth {
    causes: Cell<u64>,
    sent: Cell<u64>,
    /// That of the last of them.
    last: RefCell<Lineage>,
    /// Who waits for [too many](Self::is_over).
    waiting: RefCell<Option<Waker>>,
}

impl Growth {
    /// A request has come from outside, or a run of a job begins.
    pub fn begins(&self) {
        self.causes.set(self.causes.get() + 1);
    }

    /// A message was sent.
    pub(super) fn sends(&self, lineage: &Lineage) {
        if !lineage.goes_round() {
            return;
        }
        self.sent.set(self.sent.get() + 1);
        self.last.replace(lineage.clone());
        if self.is_over()
            && let Some(waiting) = self.waiting.take()
        {
            waiting.wake();
        }
    }

    /// Messages that others of their topic, or of one above it, have led to so far.
    pub const fn sent(&self) -> u64 {
        self.sent.get()
    }

    /// The topics of a ring that the last of them has come from: the first is the last one too.
    pub fn ring(&self) -> Vec<usize> {
        self.last.borrow().ring()
    }

    /// Requests from outside and runs of jobs so far.
    pub const fn causes(&self) -> u64 {
        self.causes.get()
    }

    /// The most messages that these may lead to.
    pub const fn most(&self) -> u64 {
        IN_ANY_CASE.saturating_add(FOR_EACH_CAUSE.saturating_mul(self.causes.get()))
    }

    /// Whether more were sent.
    pub const fn is_over(&self) -> bool {
        self.sent.get() > self.most()
    }

    /// Waits until more were sent. One task waits at a time.
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
        topics.iter().fold(Lineage::default(), |above, topic| above.below(*topic))
    }

    #[test]
    fn messages_count_from_the_first_that_leads_back_to_a_topic() {
        let growth = Growth::default();
        for (topics, sent) in
            [(&[3][..], 0), (&[3, 1, 2], 0), (&[3, 1, 2, 1], 1), (&[3, 1, 2, 1, 7], 2), (&[3, 7], 2)]
        {
            growth.sends(&of(topics));
            assert_eq!(growth.sent(), sent, "{topics:?}");
        }
        assert_eq!(growth.ring(), [1, 2, 1]);
        assert!(!of(&[]).goes_round() && of(&[]).ring().is_empty());
    }
}
