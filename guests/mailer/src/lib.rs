//! A worker that serves no requests: it takes the messages of topics, and notifies the customers.
//!
//! It shows a consumer, spans with the place of a message, a message that nobody can read, which is rejected, and one
//! that fails and comes again.
//!
//! | config | default | |
//! |---|---|---|
//! | `work` | `20ms +/- 5ms` | how long notifying takes |
//! | `failures` | `0` | the share of messages whose notification fails; they come again |

use simhost_sdk::prelude::*;
use simhost_sdk::{Delivery, Distribution};
use std::rc::Rc;

simhost_sdk::service!(consumers = consumers);

struct Settings {
    work: Distribution,
    failures: f64,
}

fn consumers() -> Consumers {
    config::refuse_unknown();
    let (mean, stddev) = (Duration::from_millis(20), Duration::from_millis(5));
    let settings = Rc::new(Settings {
        work: config::distribution("work", Distribution::Normal { mean, stddev }),
        failures: config::probability("failures", 0.0),
    });
    Consumers::new().others(move |delivery| receive(&settings, &delivery))
}

#[derive(Deserialize)]
struct Placed {
    order_id: String,
    user_id: String,
}

fn receive(settings: &Settings, delivery: &Delivery) -> Result<Outcome, Error> {
    delivery.messages.iter().try_for_each(|message| consume(settings, delivery, message))?;
    Ok(Outcome::Done)
}

fn consume(settings: &Settings, delivery: &Delivery, message: &Message) -> Result<(), Error> {
    let Delivery { topic, partition, .. } = delivery;
    in_span(&format!("kafka.consume {topic}"), |span| {
        span.set("messaging.system", "kafka").set("messaging.destination.name", topic);
        span.set("messaging.destination.partition.id", partition.to_string());
        span.set("messaging.kafka.offset", message.offset as i64);
        let placed: Placed = message.json()?;
        span.set("order.id", &placed.order_id).set("user.id", &placed.user_id);
        clock::sleep(settings.work.sample());
        if random::chance(settings.failures) {
            return Err(Error::unavailable("the mail server did not answer"));
        }
        log::write(log::Level::Info, "customer notified", attributes!["order.id" => &placed.order_id]);
        Ok(())
    })
}
