//! Has jobs and serves no requests. Each job is one thing that a job can do, or do wrong.

use simhost_sdk::prelude::*;
use simhost_sdk::{annotate, current};

simhost_sdk::service!(jobs = jobs);

fn jobs() -> Jobs {
    config::declare("next");
    config::declare("lasts");
    config::refuse_unknown();
    Jobs::new()
        .job("sweep", sweep)
        .job("errands", errands)
        .job("two-rooms", two_rooms)
        .job("rest", rest)
        .job("complain", || Err::<(), _>("the broom is broken"))
        .job("stumble", stumble)
        .job("spin", spin)
        .job("listen", listen)
        .job("look", look)
}

/// A span, a call within it and a log record.
fn sweep() -> Result<(), Error> {
    in_span("sweep", |span| {
        span.set("room", "kitchen");
        ask()?;
        log::info("swept");
        rest();
        Ok(())
    })
}

/// Two calls outside of a span.
fn errands() -> Result<(), Error> {
    ask()?;
    ask()
}

/// Two spans one after the other, the first with one below it.
fn two_rooms() -> Result<(), Error> {
    in_span("kitchen", |_| in_span("floor", |_| Ok(())))?;
    in_span("hall", |_| Ok(()))
}

/// Calls `next`, if there is one.
fn ask() -> Result<(), Error> {
    if let Some(next) = config::get("next") {
        call(&next).get("/").send()?;
    }
    Ok(())
}

/// Lasts as long as the configuration says.
fn rest() {
    if let Some(lasts) = config::get("lasts") {
        std::thread::sleep(simhost_sdk::parse_duration(&lasts).expect("`lasts` is a duration"));
    }
}

fn stumble() {
    panic!("over the bucket");
}

fn spin() {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

/// Asks for the request that there is not.
fn listen() {
    use simhost_sdk::bindings::simhost::service::incoming;
    log::info(incoming::method());
}

/// Says of what there is not what it sees: no span, and no SERVER span to annotate.
fn look() -> Result<(), String> {
    annotate(attributes! { "seen" => true });
    match current() {
        None => Ok(()),
        Some(context) => Err(format!("there is the span {}", context.span_id)),
    }
}
