//! Sends messages as it is asked to, and does with those that it gets what their bodies say.

use simhost_sdk::bindings::simhost::service::incoming;
use simhost_sdk::prelude::*;
use simhost_sdk::{Delivery, Publication, PublishError, Receipt, SendCause, publish_all};

simhost_sdk::service!(routes = routes, consumers = consumers);

fn routes() -> Router {
    config::declare("next");
    config::declare("lasts");
    config::declare("topic");
    config::refuse_unknown();
    Router::new().route("POST /send/{topic}", send).route("POST /batch/{topic}", batch)
}

fn consumers() -> Consumers {
    let consumers = Consumers::new();
    match config::get("topic") {
        Some(topic) => consumers.topic(&topic, |message: Message| one("named", 1, &message)),
        None => consumers.others(all),
    }
}

/// What to send: `times` messages, each with its number behind the body.
#[derive(Deserialize)]
#[serde(default)]
struct Letter {
    body: String,
    key: Option<String>,
    times: u32,
    /// Each message has a key of its own.
    keys: bool,
    header: Option<(String, String)>,
}

impl Default for Letter {
    fn default() -> Self {
        Self { body: "letter".to_owned(), key: None, times: 1, keys: false, header: None }
    }
}

impl Letter {
    fn messages(&self, topic: &str) -> Vec<Publication> {
        let one = |number: u32| {
            let body = if self.times > 1 { format!("{} {number}", self.body) } else { self.body.clone() };
            let mut message = publish(topic).body(body);
            if let Some(key) = &self.key {
                message = message.key(key.as_str());
            }
            if self.keys {
                message = message.key(format!("key-{number}"));
            }
            match &self.header {
                Some((name, value)) => message.header(name, value),
                None => message,
            }
        };
        (0..self.times).map(one).collect()
    }
}

fn send(Path(topic): Path<String>, Json(letter): Json<Letter>) -> Result<Response, Error> {
    let sent: Result<Vec<_>, _> = letter.messages(&topic).into_iter().map(|message| message.send()).collect();
    answer(sent)
}

fn batch(Path(topic): Path<String>, Json(letter): Json<Letter>) -> Result<Response, Error> {
    answer(publish_all(letter.messages(&topic)))
}

/// Where the messages are, or why they are not.
fn answer(sent: Result<Vec<Receipt>, PublishError>) -> Result<Response, Error> {
    match sent {
        Ok(receipts) => {
            let places: Vec<_> =
                receipts.iter().map(|receipt| json!([receipt.partition, receipt.offset])).collect();
            Ok(Response::from_json(200, &places))
        }
        Err(error) => {
            let status = match error.cause() {
                SendCause::UnknownTopic(_) => 404,
                SendCause::TooLarge(_) => 413,
                SendCause::Full(_) => 429,
                SendCause::DepthExceeded(_) => 508,
                SendCause::Invalid(_) => 400,
                SendCause::Other(_) => 500,
            };
            Err(Error::new(status, error.to_string()))
        }
    }
}

fn all(delivery: Delivery) -> Outcome {
    let Delivery { group, attempt, partition, messages, .. } = delivery;
    log::info(format!("{} messages of partition {partition}", messages.len()));
    let outcomes = messages.iter().map(|message| one(&group, attempt, message));
    outcomes.max().unwrap_or(Outcome::Done)
}

/// Does what a body says.
fn one(group: &str, attempt: u32, message: &Message) -> Outcome {
    let body = String::from_utf8_lossy(&message.body).into_owned();
    let work = Span::start("work");
    work.set("mail.body", body.as_str());
    log::info(format!("{group} has {body:?} at {}, attempt {attempt}", message.offset));
    rest();
    match body.split(' ').next().unwrap_or_default() {
        "retry" => Outcome::Retry,
        "recover" if attempt < 2 => Outcome::Retry,
        "reject" => Outcome::Reject,
        "trap" => panic!("as the message says"),
        "spin" => loop {
            std::hint::black_box(attempt);
        },
        "forward" => match body.split(' ').nth(1).map(|topic| publish(topic).body(body.clone()).send()) {
            Some(Err(error)) => {
                log::error(error.to_string());
                Outcome::Reject
            }
            _ => Outcome::Done,
        },
        "look" => {
            log::info(incoming::method());
            Outcome::Done
        }
        _ => ask(),
    }
}

/// Calls `next`, if there is one.
fn ask() -> Outcome {
    let Some(next) = config::get("next") else { return Outcome::Done };
    match call(&next).get("/").send() {
        Ok(response) if response.status() < 400 => Outcome::Done,
        _ => Outcome::Retry,
    }
}

/// Lasts as long as the configuration says.
fn rest() {
    if let Some(lasts) = config::get("lasts") {
        std::thread::sleep(simhost_sdk::parse_duration(&lasts).expect("`lasts` is a duration"));
    }
}
