//! `simhost:service/delivery`: the messages that are being processed.

use wasmtime::component::{HasSelf, LinkerInstance};

use crate::context;
use crate::topic::Delivered;
use crate::wasi::bill::FUNCTION;

use super::pairs;
use super::state::{GuestState, Local};
use crate::guest::bindings::simhost::service::delivery;
use crate::guest::scope::Received;

/// Links the interface.
pub(super) fn link(instance: &mut LinkerInstance<'_, GuestState>) -> wasmtime::Result<()> {
    delivery::add_to_linker_instance::<_, HasSelf<_>>(instance, |state| state)
}

impl delivery::Host for GuestState {
    fn topic(&mut self) -> wasmtime::Result<String> {
        let topic = self.local.get().receiving().map(|received| received.topic.clone());
        self.charge_copy(topic, String::len)
    }

    fn group(&mut self) -> wasmtime::Result<String> {
        let group = self.local.get().receiving().map(|received| received.group.clone());
        self.charge_copy(group, String::len)
    }

    fn partition(&mut self) -> wasmtime::Result<u32> {
        self.charge(FUNCTION);
        self.local.get().receiving().map(|received| received.delivery.partition)
    }

    fn attempt(&mut self) -> wasmtime::Result<u32> {
        self.charge(FUNCTION);
        self.local.get().receiving().map(|received| received.delivery.attempt)
    }

    fn messages(&mut self) -> wasmtime::Result<Vec<delivery::Received>> {
        let messages = self.local.get().receiving().map(|received| {
            let delivery = &received.delivery;
            let offsets = delivery.first..;
            delivery
                .records
                .iter()
                .zip(offsets)
                .map(|(record, offset)| given(record, offset))
                .collect::<Vec<_>>()
        });
        let size = |one: &delivery::Received| {
            size_of::<delivery::Received>()
                + one.key.as_ref().map_or(0, Vec::len)
                + pairs(&one.headers)
                + one.body.len()
        };
        self.charge_copy(messages, |all| all.iter().map(size).sum())
    }
}

/// A message as the guest gets it: with the context that came along.
fn given(record: &Delivered, offset: u64) -> delivery::Received {
    let message = &record.message;
    let mut headers = message.headers.clone();
    context::inject(&message.context, &message.baggage, &mut headers);
    delivery::Received {
        key: message.key.clone(),
        headers: headers.0,
        body: message.body.clone(),
        offset,
        published_at: record.published,
    }
}

impl Local {
    fn receiving(&self) -> wasmtime::Result<&Received> {
        let Some(received) = self.scope.as_ref().and_then(|scope| scope.received.as_ref()) else {
            wasmtime::bail!("the guest asked for messages while it received none");
        };
        Ok(received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::host::fixture::Fixture;
    use crate::wasi::bill;
    use delivery::Host as _;

    #[test]
    fn a_guest_gets_its_messages_with_their_context_and_pays_for_what_is_copied() {
        let mut fixture = Fixture::receiving(&["one", "two"]);
        assert_eq!(fixture.state.topic().unwrap(), "order-events");
        assert_eq!(fixture.owes(), FUNCTION + bill::bytes("order-events".len()));
        assert_eq!(fixture.state.group().unwrap(), "mail");
        assert_eq!((fixture.state.partition().unwrap(), fixture.state.attempt().unwrap()), (3, 2));
        fixture.owes();
        let messages = fixture.state.messages().unwrap();
        assert!(fixture.owes() > FUNCTION + 2 * size_of::<delivery::Received>() as u64);
        let seen: Vec<_> = messages.iter().map(|one| (one.offset, one.body.as_slice())).collect();
        assert_eq!(seen, [(7, b"one".as_slice()), (8, b"two")]);
        let names: Vec<_> = messages[0].headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x-tier", "traceparent"]);
    }

    #[test]
    fn a_guest_without_messages_is_stopped() {
        let error = Fixture::serving().state.messages().unwrap_err();
        assert_eq!(error.to_string(), "the guest asked for messages while it received none");
    }
}
