//! Consumers: what a service does with the messages of topics.

use crate::bindings::consumers::exports::simhost::service::consumer as contract;
use crate::bindings::simhost::service::delivery as raw;
use crate::{Error, Problem, log};
use serde::de::DeserializeOwned;

/// What is to become of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// They are done.
    Done,
    /// They are delivered again after a while, as often as the subscription says; then they go to its dead letters.
    Retry,
    /// They never will be done: they go to the dead letters at once.
    Reject,
}

/// What a consumer may give: nothing, an [`Outcome`], or an error. An [`Error`] with a status of 400 to 499 rejects its
/// messages, because they would fail again; any other asks for them once more.
pub trait ConsumerResult {
    /// What is to become of the messages.
    fn into_outcome(self) -> Outcome;
}

impl ConsumerResult for () {
    fn into_outcome(self) -> Outcome {
        Outcome::Done
    }
}

impl ConsumerResult for Outcome {
    fn into_outcome(self) -> Outcome {
        self
    }
}

impl<T: ConsumerResult> ConsumerResult for Result<T, Error> {
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(value) => value.into_outcome(),
            Err(error) => {
                log::error(error.to_string());
                if error.status() < 500 { Outcome::Reject } else { Outcome::Retry }
            }
        }
    }
}

/// The messages that a consumer is to process: one, or several of a partition in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Where they come from.
    pub topic: String,
    /// The consumer group.
    pub group: String,
    /// That of all of them.
    pub partition: u32,
    /// Which delivery of these messages it is, from 1.
    pub attempt: u32,
    /// At least one, in the order of their offsets.
    pub messages: Vec<Message>,
}

/// A message of a [`Delivery`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Messages with the same key are in the same partition.
    pub key: Option<Vec<u8>>,
    /// With the context and the baggage that came along.
    pub headers: Vec<(String, String)>,
    /// What was sent.
    pub body: Vec<u8>,
    /// Its place in its partition.
    pub offset: u64,
    /// When the broker had it: nanoseconds since the Unix epoch.
    pub published_at: u64,
}

impl Message {
    /// The first value of a header; `name` is lower-case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// If it is none, or not such a value: an error that rejects the message.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Error::unprocessable(format!("not the body of a message: {error}")))
    }
}

impl Delivery {
    /// The one that the worker has.
    fn current() -> Self {
        let messages =
            raw::messages().into_iter().map(|raw::Received { key, headers, body, offset, published_at }| {
                Message { key, headers, body, offset, published_at }
            });
        Self {
            topic: raw::topic(),
            group: raw::group(),
            partition: raw::partition(),
            attempt: raw::attempt(),
            messages: messages.collect(),
        }
    }
}

type Consumer = Box<dyn Fn(Delivery) -> Outcome>;

/// What a service does with the messages of which topics. What is wrong with it is reported when the simulator loads
/// the guest, all of it at once. [`service!`](crate::service) exports it.
#[derive(Default)]
pub struct Consumers {
    topics: Vec<(String, Consumer)>,
    others: Option<Consumer>,
    problems: Vec<Problem>,
}

impl Consumers {
    /// A service that consumes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Processes each message of a topic. Those of a batch come one after the other, until one is not done: its outcome
    /// is that of the batch.
    ///
    /// A second consumer of the same topic is a problem.
    pub fn topic<R: ConsumerResult>(self, topic: &str, receive: impl Fn(Message) -> R + 'static) -> Self {
        self.batch(topic, move |delivery| each(delivery, &receive))
    }

    /// Processes the messages of a topic as they are delivered, with all that is known of the delivery.
    ///
    /// A second consumer of the same topic is a problem.
    pub fn batch<R: ConsumerResult>(
        mut self,
        topic: &str,
        receive: impl Fn(Delivery) -> R + 'static,
    ) -> Self {
        if let Err(why) = self.add(topic, receive) {
            self.problems.push(Problem::new(why));
        }
        self
    }

    /// Processes each message of a topic that stands at a key of the configuration, and so is its problem if it has
    /// a consumer already.
    pub fn configured_topic<R: ConsumerResult>(
        mut self,
        key: &str,
        topic: &str,
        receive: impl Fn(Message) -> R + 'static,
    ) -> Self {
        if let Err(why) = self.add(topic, move |delivery| each(delivery, &receive)) {
            self.problems.push(Problem::of(key, why));
        }
        self
    }

    fn add<R: ConsumerResult>(
        &mut self,
        topic: &str,
        receive: impl Fn(Delivery) -> R + 'static,
    ) -> Result<(), String> {
        if self.topics.iter().any(|(known, _)| known == topic) {
            return Err(format!("the topic `{topic}` has two consumers; remove one of them"));
        }
        self.topics.push((topic.to_owned(), Box::new(move |delivery| receive(delivery).into_outcome())));
        Ok(())
    }

    /// Processes the messages of every topic that has no consumer of its own.
    pub fn others<R: ConsumerResult>(mut self, receive: impl Fn(Delivery) -> R + 'static) -> Self {
        self.others = Some(Box::new(move |delivery| receive(delivery).into_outcome()));
        self
    }

    /// The topics of which it takes messages; `*` stands for all.
    pub(crate) fn topics(&self) -> Vec<String> {
        match self.others {
            Some(_) => vec!["*".to_owned()],
            None => self.topics.iter().map(|(topic, _)| topic.clone()).collect(),
        }
    }

    pub(crate) fn problems(&self) -> impl Iterator<Item = Problem> {
        self.problems.iter().cloned()
    }

    /// Processes the messages that the worker has.
    pub(crate) fn receive(&self) -> contract::Outcome {
        self.process(Delivery::current()).into()
    }

    fn process(&self, delivery: Delivery) -> Outcome {
        let named =
            self.topics.iter().find(|(topic, _)| *topic == delivery.topic).map(|(_, consumer)| consumer);
        match named.or(self.others.as_ref()) {
            Some(consumer) => consumer(delivery),
            None => Outcome::Reject,
        }
    }
}

/// Processes messages one after the other, until one is not done.
fn each<R: ConsumerResult>(delivery: Delivery, receive: &impl Fn(Message) -> R) -> Outcome {
    let mut outcomes = delivery.messages.into_iter().map(|message| receive(message).into_outcome());
    outcomes.find(|outcome| *outcome != Outcome::Done).unwrap_or(Outcome::Done)
}

impl From<Outcome> for contract::Outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::Done,
            Outcome::Retry => Self::Retry,
            Outcome::Reject => Self::Reject,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    fn delivery(topic: &str, bodies: &[&str]) -> Delivery {
        let message = |(offset, body): (u64, &&str)| {
            let (key, headers, body) = (None, Vec::new(), body.as_bytes().to_vec());
            Message { key, headers, body, offset, published_at: 0 }
        };
        Delivery {
            topic: topic.to_owned(),
            group: "mail".to_owned(),
            partition: 0,
            attempt: 1,
            messages: (0..).zip(bodies).map(message).collect(),
        }
    }

    #[test]
    fn the_consumer_of_a_topic_gets_its_messages_until_one_fails() {
        let seen: Rc<Cell<u32>> = Rc::default();
        let count = Rc::clone(&seen);
        let consumers = Consumers::new().topic("orders", move |message: Message| -> Result<(), Error> {
            count.set(count.get() + 1);
            message.json::<u32>().map(drop)
        });
        assert_eq!(consumers.topics(), ["orders"]);
        assert_eq!(consumers.process(delivery("orders", &["1", "2"])), Outcome::Done);
        assert_eq!(consumers.process(delivery("orders", &["1", "two", "3"])), Outcome::Reject);
        assert_eq!(seen.get(), 4);
        assert_eq!(consumers.process(delivery("mails", &["1"])), Outcome::Reject);
    }

    #[test]
    fn an_error_that_may_pass_asks_for_the_message_once_more() {
        let consumers =
            Consumers::new().others(|_| -> Result<(), Error> { Err(Error::unavailable("no ink")) });
        assert_eq!(consumers.topics(), ["*"]);
        assert_eq!(consumers.process(delivery("any", &["1"])), Outcome::Retry);
    }

    #[test]
    fn a_topic_with_two_consumers_is_a_problem() {
        let consumers = Consumers::new().topic("orders", |_| ()).batch("orders", |_| ());
        let consumers = consumers.configured_topic("second.topic", "orders", |_| ());
        let problems: Vec<_> = consumers.problems().map(|problem| (problem.key, problem.message)).collect();
        let said = "the topic `orders` has two consumers; remove one of them".to_owned();
        assert_eq!(problems, [(None, said.clone()), (Some("second.topic".to_owned()), said)]);
    }
}
