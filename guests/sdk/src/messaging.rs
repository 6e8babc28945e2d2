//! Messages to the topics of the topology.

use crate::bindings::simhost::service::messaging as raw;
use serde::Serialize;
use std::fmt;

/// Where a message is: its partition and its offset there.
pub use raw::Receipt;
/// Why a message was not sent, as the contract has it.
pub use raw::SendError as SendCause;

/// Begins a message to a topic of the topology.
///
/// ```no_run
/// # use simhost_sdk::prelude::*;
/// # fn main() -> Result<(), Error> {
/// publish("order-events").key("order-7").json(&json!({"order": 7, "status": "placed"})).send()?;
/// # Ok(()) }
/// ```
pub fn publish(topic: impl Into<String>) -> Publication {
    let message = raw::Message { key: None, headers: Vec::new(), body: Vec::new() };
    Publication { topic: topic.into(), message: Ok(message) }
}

/// A message that is being put together.
#[must_use = "a message goes nowhere until `send`"]
#[derive(Debug)]
pub struct Publication {
    topic: String,
    /// The message, or why there can be none: the error is worth more where it is sent.
    message: Result<raw::Message, String>,
}

impl Publication {
    /// Gives it a key. Messages with the same key go to the same partition, where they keep their order.
    pub fn key(self, key: impl Into<Vec<u8>>) -> Self {
        self.change(|message| {
            message.key = Some(key.into());
            Ok(())
        })
    }

    /// Adds a header.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.change(|message| {
            message.headers.push((name.to_owned(), value.to_owned()));
            Ok(())
        })
    }

    /// Gives it a JSON body. A value that JSON cannot hold makes the message [invalid](SendCause::Invalid).
    pub fn json(self, value: &impl Serialize) -> Self {
        self.change(|message| {
            message.body =
                serde_json::to_vec(value).map_err(|error| format!("the body cannot be JSON: {error}"))?;
            Ok(())
        })
    }

    /// Gives it a body.
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        self.change(|message| {
            message.body = body.into();
            Ok(())
        })
    }

    /// Sends it, and waits until the broker has confirmed it.
    ///
    /// # Errors
    /// If it was not sent.
    pub fn send(self) -> Result<Receipt, PublishError> {
        let Self { topic, message } = self;
        let sent = message.map_err(SendCause::Invalid).and_then(|message| raw::send(&topic, &message));
        sent.map_err(|cause| PublishError { topic, cause })
    }

    fn change(mut self, change: impl FnOnce(&mut raw::Message) -> Result<(), String>) -> Self {
        if let Ok(message) = &mut self.message
            && let Err(why) = change(message)
        {
            self.message = Err(why);
        }
        self
    }
}

/// Sends several messages to the topic of the first one together, at most 128, and waits until the broker has confirmed
/// all of them.
///
/// # Errors
/// If one was not sent. Those in front of it were.
pub fn publish_all(messages: impl IntoIterator<Item = Publication>) -> Result<Vec<Receipt>, PublishError> {
    let mut topic = None;
    let mut all = Vec::new();
    for Publication { topic: to, message } in messages {
        let same = topic.get_or_insert_with(|| to.clone());
        let message = match message {
            _ if *same != to => Err(format!("messages to {same} and to {to} cannot be sent together")),
            message => message,
        };
        all.push(message.map_err(|why| PublishError { topic: to, cause: SendCause::Invalid(why) })?);
    }
    let Some(topic) = topic else { return Ok(Vec::new()) };
    raw::send_batch(&topic, &all).map_err(|cause| PublishError { topic, cause })
}

/// A message that was not sent.
#[derive(Clone, Debug)]
pub struct PublishError {
    topic: String,
    cause: SendCause,
}

impl PublishError {
    /// Why it was not sent.
    pub fn cause(&self) -> &SendCause {
        &self.cause
    }

    /// Whether the partition is full.
    pub fn is_full(&self) -> bool {
        matches!(self.cause, SendCause::Full(_))
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topic = &self.topic;
        match &self.cause {
            SendCause::UnknownTopic(known) => write!(f, "there is no topic {topic}: {known}"),
            SendCause::TooLarge(why) | SendCause::Full(why) | SendCause::Invalid(why) => {
                write!(f, "no message to {topic}: {why}")
            }
            SendCause::DepthExceeded(depth) => {
                write!(f, "no message to {topic}: more than {depth} calls and messages led to it")
            }
            SendCause::Other(other) => write!(f, "no message to {topic}: {}: {}", other.kind, other.message),
        }
    }
}

impl std::error::Error for PublishError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_cannot_be_is_invalid_where_it_is_sent() {
        let pairs = std::collections::BTreeMap::from([((1, 2), 3)]);
        let error = publish("orders").key("k").json(&pairs).send().unwrap_err();
        assert!(
            matches!(error.cause(), SendCause::Invalid(why) if why.contains("cannot be JSON")),
            "{error}"
        );
        let twice = publish_all([publish("orders"), publish("mails")]).unwrap_err();
        assert_eq!(
            twice.to_string(),
            "no message to mails: messages to orders and to mails cannot be sent together"
        );
        assert!(publish_all([]).unwrap().is_empty());
    }

    #[test]
    fn an_error_says_where_the_message_did_not_go() {
        let error = PublishError {
            topic: "orders".to_owned(),
            cause: SendCause::Full("partition 2 is full".to_owned()),
        };
        assert!(error.is_full());
        assert_eq!(error.to_string(), "no message to orders: partition 2 is full");
    }
}
