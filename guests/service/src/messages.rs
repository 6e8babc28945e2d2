//! The messages that an operation sends.

use simhost_notation::{Calls, OneCall};
use simhost_sdk::Publication;
use simhost_sdk::extract::Params;
use simhost_sdk::prelude::*;

use crate::calls::{drawn, fill};

/// Messages to topics, one after the other: `order-events/{id}, 10% audit?`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Messages {
    each: Vec<OneCall>,
    /// Length of each body.
    bytes: usize,
}

impl Messages {
    /// Reads messages, which are written as calls are: a topic in place of the service, a key in place of the path.
    pub fn parse(text: &str, bytes: usize) -> Result<Self, Vec<String>> {
        let each: Vec<_> = Calls::parse(text)?.0;
        if text.contains('&') || each.iter().flatten().any(|one| one.is_parallel || one.method != "GET") {
            return Err(vec![format!(
                "{text:?}: messages have no methods, and are sent one after the other"
            )]);
        }
        Ok(Self { each: each.into_iter().flatten().collect(), bytes })
    }

    /// Sends them. `params` are those of the request's own path, or the key of the message that is processed.
    pub fn send(&self, params: &Params) -> Result<(), Error> {
        self.each.iter().try_for_each(|one| {
            (0..drawn(one)).try_for_each(|_| match self.message(one, params).send() {
                Err(error) if !one.is_optional => Err(Error::bad_gateway(error.to_string())),
                _ => Ok(()),
            })
        })
    }

    fn message(&self, one: &OneCall, params: &Params) -> Publication {
        let message = publish(one.service.as_str()).body(vec![b'.'; self.bytes]);
        match fill(&one.path[1..], params, str::to_owned) {
            key if key.is_empty() => message,
            key => message.key(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_written_as_calls_are() {
        let messages = Messages::parse("order-events/{id}, 10% 2x audit?", 3).unwrap();
        let of =
            |one: &OneCall| (one.service.clone(), one.path.clone(), one.share, one.times, one.is_optional);
        let expected = [
            ("order-events".to_owned(), "/{id}".to_owned(), 1.0, 1, false),
            ("audit".to_owned(), "/".to_owned(), 0.1, 2, true),
        ];
        assert_eq!(messages.each.iter().map(of).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_message_has_no_method_and_is_sent_alone() {
        for text in ["POST audit", "audit & order-events", "3|| audit", "50%"] {
            assert!(Messages::parse(text, 0).is_err(), "{text}");
        }
    }
}
