//! Requests and runs of jobs that lead to a great many messages, as consumers send many for each one that
//! they get.

use std::collections::BTreeSet;

use crate::error::Problem;
use crate::report::words::count;
use crate::topic::LED_FOR_EACH_CAUSE;

use super::flow::{Edge, Flow, Node};
use super::rings::Rings;

/// Requests and runs that are named. Of the others it is said how many there are.
const NAMED_AT_MOST: usize = 10;

/// A node may lead to as many as numbers do not hold. These are a great many: as many as a share is exact.
const A_GREAT_MANY: f64 = 1e15;

/// How many messages each node leads to, by how deep calls and messages below it may be: of 0, of 1, and so
/// on, up to the depth from which on it makes no difference.
type Counts = Vec<Vec<f64>>;

/// Those that lead to more messages than a run may send for each of them, on average. What goes round is said
/// of the ring.
pub fn problems(flow: &Flow<'_>, rings: &Rings<'_>) -> Vec<Problem> {
    let counts = counts(flow);
    let Some(deepest) = counts.last() else { return Vec::new() };
    let most = LED_FOR_EACH_CAUSE as f64;
    let starts = starts(flow).into_iter().filter(|start| deepest[*start] > most);
    let starts: Vec<_> = starts.filter(|start| !reaches(flow, *start, &rings.nodes)).collect();
    let named = starts.iter().take(NAMED_AT_MOST).map(|start| problem(flow, &counts, *start));
    let more = starts.len().saturating_sub(NAMED_AT_MOST);
    let others = (more > 0).then(|| {
        let what = format!(
            "{more} other requests and runs of jobs lead to more than {} messages",
            count(most as u64)
        );
        Problem::warning(what).help("mend those above, and check again")
    });
    named.chain(others).collect()
}

/// Routes that are asked from outside and jobs: what nothing in the topology leads to, and what the services
/// of the ingress and of loads have.
fn starts(flow: &Flow<'_>) -> Vec<usize> {
    let model = flow.run.model;
    let led: BTreeSet<usize> = flow.edges.iter().flatten().map(|edge| edge.to).collect();
    let asked = model.ingress.iter().map(|ingress| ingress.to).chain(model.loads.iter().map(|load| load.to));
    let asked: BTreeSet<_> = asked.collect();
    let is_start = |node: &usize| match &flow.nodes[*node] {
        Node::Topic(_) | Node::Group(_) => false,
        Node::Work(service, route) => {
            !route.starts_with("topic ") && (!led.contains(node) || asked.contains(service))
        }
    };
    (0..flow.nodes.len()).filter(is_start).collect()
}

fn counts(flow: &Flow<'_>) -> Counts {
    let topics = flow.run.model.topics.len();
    let groups = topics + flow.run.model.subscriptions.len();
    // Work leads to what is deeper, groups to work, and topics to groups.
    let order = || (groups..flow.nodes.len()).chain(topics..groups).chain(0..topics);
    let mut counts: Counts = Vec::new();
    for _ in 0..=flow.run.model.bounds.call_depth {
        let mut now = vec![0.0; flow.nodes.len()];
        for node in order() {
            let led = flow.edges[node].iter().map(|edge| led(flow, (node, edge), &now, counts.last()));
            now[node] = led.sum::<f64>().min(A_GREAT_MANY);
        }
        if counts.last() == Some(&now) {
            break;
        }
        counts.push(now);
    }
    counts
}

/// The messages that an edge leads to. `now` is what nodes lead to from its depth on, and `below` from the
/// next.
fn led(flow: &Flow<'_>, (from, edge): (usize, &Edge), now: &[f64], below: Option<&Vec<f64>>) -> f64 {
    if !flow.is_deeper(from, edge) {
        return edge.factor * now[edge.to];
    }
    let own = if flow.is_topic(edge.to) { 1.0 } else { 0.0 };
    below.map_or(0.0, |below| edge.factor * (own + below[edge.to]))
}

/// Whether one leads to any of these.
fn reaches(flow: &Flow<'_>, start: usize, of: &BTreeSet<usize>) -> bool {
    let (mut seen, mut open): (BTreeSet<usize>, _) = ([start].into(), vec![start]);
    while let Some(node) = open.pop() {
        if of.contains(&node) {
            return true;
        }
        open.extend(flow.edges[node].iter().map(|edge| edge.to).filter(|to| seen.insert(*to)));
    }
    false
}

/// The way to most messages, and its edge that leads to most for each one.
fn way<'f>(flow: &'f Flow<'_>, counts: &Counts, start: usize) -> (Vec<usize>, Option<&'f Edge>) {
    let (mut depth, mut nodes, mut steepest): (_, _, Option<&Edge>) = (counts.len() - 1, vec![start], None);
    while let Some(node) = nodes.last().copied() {
        let below = depth.checked_sub(1).map(|below| &counts[below]);
        let edges =
            flow.edges[node].iter().map(|edge| (edge, led(flow, (node, edge), &counts[depth], below)));
        let best =
            edges.filter(|(_, led)| *led > 0.0).reduce(|best, one| if one.1 > best.1 { one } else { best });
        let Some((edge, _)) = best.filter(|(edge, _)| !nodes.contains(&edge.to)) else { break };
        if flow.is_deeper(node, edge) {
            depth -= 1;
        }
        if edge.place.is_some() && steepest.is_none_or(|steepest| edge.factor > steepest.factor) {
            steepest = Some(edge);
        }
        nodes.push(edge.to);
    }
    // Who takes the messages of the last topic sends none.
    let end = nodes.iter().rposition(|node| flow.is_topic(*node)).unwrap_or(0);
    nodes.truncate(end + 1);
    (nodes, steepest)
}

fn problem(flow: &Flow<'_>, counts: &Counts, start: usize) -> Problem {
    let (nodes, steepest) = way(flow, counts, start);
    let led = counts[counts.len() - 1][start];
    let led = if led < A_GREAT_MANY { count(led.round() as u64) } else { "a great many".to_owned() };
    let is_job = matches!(&flow.nodes[start], Node::Work(_, route) if route.starts_with("job "));
    let what = if is_job { "one run of a job" } else { "one request" };
    let most = count(LED_FOR_EACH_CAUSE);
    let problem = Problem::warning(format!("{what} leads to {led} messages: {}", flow.steps(nodes)));
    let problem = problem.help(format!(
        "a run ends with an error when consumers have sent more than {most} messages for each request and each run of \
         a job: let them send fewer for each one that they take"
    ));
    match steepest.and_then(|edge| Some((edge.place.clone()?, edge))) {
        Some((place, edge)) if edge.is_of_fault => problem.at(place, "the most of them").of_fault(),
        Some((place, _)) => problem.at(place, "the most of them"),
        None => problem,
    }
}
