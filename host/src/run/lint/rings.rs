//! Rings of topics: messages that lead to at least as many messages of the same topic, by way of the services
//! that consume them, and dead letters that come back.

use simhost_notation::{Calls, OneCall, parse_share};

use crate::error::{Problem, quote};
use crate::model::{Code, Place, Service, ServiceId, Subscription};
use crate::report::words::number;

use super::Run;

/// Rings that are reported: one is enough to know what is wrong.
const RINGS_AT_MOST: usize = 20;

/// Topics of a ring that a message shows.
const STEPS_AT_MOST: usize = 6;

/// What a sum of logarithms may lack for their product to count as 1.
const ROUNDING: f64 = 1e-9;

/// A service that takes messages of one topic leads to messages of another.
#[derive(Debug)]
struct Edge {
    from: usize,
    to: usize,
    by: ServiceId,
    /// Messages of `to` for each message of `from`.
    factor: f64,
    is_dead_letter: bool,
    place: Place,
}

/// The rings of topics whose messages do not become fewer.
pub fn problems(run: &Run<'_>) -> Vec<Problem> {
    let edges: Vec<Edge> = run.model.subscriptions.iter().flat_map(|one| edges(run, one)).collect();
    let topics = run.model.topics.len();
    let dead = edges.iter().filter(|edge| edge.is_dead_letter);
    let dead = rings(topics, dead.map(|edge| (edge, 0.0)).collect());
    let all = edges.iter().filter(|edge| edge.factor > 0.0);
    let growing = rings(topics, all.map(|edge| (edge, libm::log(edge.factor))).collect());
    // Those of dead letters alone are among the others.
    let growing = growing.iter().filter(|ring| ring.iter().any(|edge| !edge.is_dead_letter));
    growing.map(|ring| growth(run, ring)).chain(dead.iter().map(|ring| return_of_dead(run, ring))).collect()
}

/// What a subscription leads to, as far as it is known.
fn edges(run: &Run<'_>, one: &Subscription) -> Vec<Edge> {
    let service = run.model.service(one.service);
    let is_scripted = matches!(&service.code, Code::Embedded(name) if name == "service");
    let is_known = is_scripted && !run.is_swapped(one.service);
    let table = is_known.then(|| table(service, &run.model.topics[one.topic].name)).flatten();
    let setting = |name: &str| {
        let own = service.config.get_full(&format!("{}.{name}", table?));
        own.or_else(|| service.config.get_full(name))
    };
    let errors = setting("errors").and_then(|(_, _, errors)| parse_share(errors).ok()).unwrap_or(0.0);
    let given_up = libm::pow(errors, one.retry.attempts.into());
    let edge = |to, factor, is_dead_letter, place| Edge {
        from: one.topic,
        to,
        by: one.service,
        factor,
        is_dead_letter,
        place,
    };
    let mut edges: Vec<Edge> = Vec::new();
    if let Some(to) = one.dead_letter {
        edges.push(edge(to, given_up, true, one.place.clone()));
    }
    let Some((at, _, text)) = setting("publish") else { return edges };
    let messages = Calls::parse(text).map(|calls| calls.0).unwrap_or_default();
    for OneCall { share, times, service: topic, .. } in messages.into_iter().flatten() {
        let Some(to) = run.model.topics.iter().position(|known| known.name == topic) else { continue };
        let factor = share * f64::from(times) * (1.0 - given_up);
        match edges.iter_mut().find(|edge| edge.to == to && !edge.is_dead_letter) {
            Some(known) => known.factor += factor,
            None => edges.push(edge(to, factor, false, run.within(&service.config_places[at], &topic))),
        }
    }
    edges
}

/// The table of a guest `service` that says what is done for each message of a topic.
fn table<'a>(service: &'a Service, topic: &str) -> Option<&'a str> {
    let tables = service.config.iter().filter(|(_, named)| *named == topic);
    tables.filter_map(|(key, _)| key.strip_suffix(".topic")).find(|table| !table.contains('.'))
}

/// Rings whose weights add up to 0 or more; at least one of each part of the graph that has any. By the
/// algorithm of Bellman and Ford.
fn rings(topics: usize, mut edges: Vec<(&Edge, f64)>) -> Vec<Vec<&Edge>> {
    let mut rings = Vec::new();
    while rings.len() < RINGS_AT_MOST
        && let Some(ring) = ring(topics, &edges)
    {
        edges.retain(|(edge, _)| !ring.iter().any(|of_ring| std::ptr::eq(*of_ring, *edge)));
        rings.push(ring);
    }
    rings
}

fn ring<'a>(topics: usize, edges: &[(&'a Edge, f64)]) -> Option<Vec<&'a Edge>> {
    let mut best = vec![0.0; topics];
    let mut by: Vec<Option<&Edge>> = vec![None; topics];
    let mut better = None;
    for _ in 0..=topics {
        better = None;
        for (edge, weight) in edges {
            let sum = best[edge.from] + weight + ROUNDING;
            if sum > best[edge.to] + ROUNDING / 2.0 {
                (best[edge.to], by[edge.to], better) = (sum, Some(*edge), Some(edge.to));
            }
        }
        better?;
    }
    // What still gets better lies behind a ring: as many steps back lead into it.
    let back = |topic: usize| by[topic].map(|edge| edge.from);
    let within = (0..topics).try_fold(better?, |topic, _| back(topic))?;
    let mut ring: Vec<&Edge> = Vec::new();
    let mut at = within;
    loop {
        let edge = by[at]?;
        ring.push(edge);
        at = edge.from;
        if at == within {
            break;
        }
    }
    ring.reverse();
    let start = (0..ring.len()).min_by_key(|at| ring[*at].from)?;
    ring.rotate_left(start);
    Some(ring)
}

fn growth(run: &Run<'_>, ring: &[&Edge]) -> Problem {
    let factor: f64 = ring.iter().map(|edge| edge.factor).product();
    let depth = run.model.bounds.call_depth;
    let more = if factor < 1.5 {
        "1 further message".to_owned()
    } else {
        format!("{} further messages", number(factor))
    };
    let message =
        format!("messages go round: {}, and each leads to {more} of {}", steps(run, ring), first(run, ring));
    let help = format!(
        "only limits.call-depth of {depth} and the bounds of a run end it: send to a topic outside of the ring, or \
         for a share of the messages, as in publish = \"10% {}\"",
        run.model.topics[ring[0].from].name
    );
    closed(Problem::warning(message).help(help), ring, "the message that closes it")
}

fn return_of_dead(run: &Run<'_>, ring: &[&Edge]) -> Problem {
    let depth = run.model.bounds.call_depth;
    let message = format!("dead letters go round: {}", steps(run, ring));
    let help = format!(
        "a message that nobody processes goes round until limits.call-depth of {depth} ends it, and is lost: leave \
         out the dead-letter of one of these subscriptions"
    );
    closed(Problem::warning(message).help(help), ring, "its dead letters close the ring")
}

fn first(run: &Run<'_>, ring: &[&Edge]) -> String {
    quote(&run.model.topics[ring[0].from].name)
}

/// At what leads back to the first topic of a ring.
fn closed(problem: Problem, ring: &[&Edge], label: &str) -> Problem {
    match ring.last() {
        Some(edge) => problem.at(edge.place.clone(), label),
        None => problem,
    }
}

/// Topics and the services between them: `orders -> billing -> invoices -> shop -> orders`.
fn steps(run: &Run<'_>, ring: &[&Edge]) -> String {
    let step = |edge: &&Edge| {
        let topic = &run.model.topics[edge.from].name;
        format!("{topic} -> {}", run.model.service(edge.by).name)
    };
    let mut steps: Vec<_> = ring.iter().map(step).collect();
    if steps.len() > STEPS_AT_MOST {
        let more = steps.len() - STEPS_AT_MOST;
        steps.splice(STEPS_AT_MOST / 2..STEPS_AT_MOST / 2 + more, [format!("({more} more)")]);
    }
    steps.push(run.model.topics[ring[0].from].name.clone());
    steps.join(" -> ")
}
