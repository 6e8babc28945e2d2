//! The calls of a route as the scripted guest has them: `stock/items/{id} & prices, 10% similar?`.

use crate::error::{nearest, show_share};

use super::bounds::{MAX_PARALLEL, MAX_TIMES};
use super::path;
use super::system::{Calls, Route};

/// Calls that a share or a repetition may be off: smaller differences are not written.
const WHOLE: f64 = 0.999;

/// A call that is drawn.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// Its place in the calls of [`Route`].
    pub place: usize,
    pub calls: Calls,
    pub method: String,
    /// The callee's name in the topology, and its path.
    pub service: String,
    pub path: String,
}

/// What stands in the key `calls`; nothing without calls. `own` is the path of the caller's route, `made` the
/// number of requests that come to their calls, where it is known.
pub fn text(route: &Route, mut drawn: Vec<Drawn>, own: &str, made: Option<u64>) -> String {
    let rank = |one: &Drawn| one.calls.ranks as f64 / one.calls.requests.max(1) as f64;
    drawn.sort_by(|one, other| rank(one).total_cmp(&rank(other)).then(one.place.cmp(&other.place)));
    let mut steps: Vec<Vec<&Drawn>> = Vec::new();
    for call in &drawn {
        match steps.last_mut().filter(|step| step.iter().any(|other| are_parallel(route, call, other))) {
            Some(step) => step.push(call),
            None => steps.push(vec![call]),
        }
    }
    let mut texts = Vec::new();
    for step in &steps {
        let (mut calls, mut further) = (Vec::new(), Vec::new());
        for call in step {
            let (main, more) = written(route, call, own, made);
            calls.extend(main);
            further.extend(more);
        }
        texts.extend((!calls.is_empty()).then(|| calls.join(" & ")));
        texts.extend(further);
    }
    texts.join(", ")
}

/// Whether a call comes often enough to stand in the key `calls`.
pub fn is_written(route: &Route, call: &Drawn, own: &str, made: Option<u64>) -> bool {
    let (main, more) = written(route, call, own, made);
    main.or(more).is_some()
}

/// What stands in the key `publish`: topics with their keys, in their order.
pub fn messages(route: &Route, mut drawn: Vec<Drawn>, own: &str, made: Option<u64>) -> String {
    let rank = |one: &Drawn| one.calls.ranks as f64 / one.calls.requests.max(1) as f64;
    drawn.sort_by(|one, other| rank(one).total_cmp(&rank(other)).then(one.place.cmp(&other.place)));
    let texts = drawn.iter().flat_map(|call| {
        // Sending comes last: whoever failed for a callee has sent nothing.
        let calls = Calls { before_failure: 0, ..call.calls };
        let (main, more) = written(route, &Drawn { calls, ..call.clone() }, own, made);
        main.into_iter().chain(more)
    });
    texts.collect::<Vec<_>>().join(", ")
}

/// Whether most requests with both make them at the same time.
fn are_parallel(route: &Route, one: &Drawn, other: &Drawn) -> bool {
    let pair = (one.place.min(other.place), one.place.max(other.place));
    route.pairs.get(&pair).is_some_and(|(both, at_once)| at_once * 2 > *both)
}

/// A call, and what it is made beyond a whole number of times, as a second call.
fn written(route: &Route, call: &Drawn, own: &str, made_by: Option<u64>) -> (Option<String>, Option<String>) {
    let Calls { requests, made, repeated, overlapping, failed, survived, before_failure, .. } = call.calls;
    let failed_before = route.failed_for_callee - before_failure;
    let reached = made_by.unwrap_or(route.served.count - route.served.failed);
    let reached = reached.saturating_sub(failed_before).max(1);
    let expected = made as f64 / reached as f64;
    let is_parallel = overlapping * 2 > repeated;
    let most = if is_parallel { MAX_PARALLEL } else { MAX_TIMES };
    let times = libm::round(made as f64 / requests.max(1) as f64).clamp(1.0, most);
    let share = expected / times;
    let target = {
        let method = if call.method == "GET" { String::new() } else { format!("{} ", call.method) };
        let path = own_names(&call.path, own);
        let path = if path == "/" { "" } else { &path };
        let optional = if failed > 0 && survived * 2 >= failed { "?" } else { "" };
        format!("{method}{}{path}{optional}", call.service)
    };
    let of_share = |share: f64| match show(share) {
        Some(share) if share.is_empty() => Some(target.clone()),
        Some(share) => Some(format!("{share} {target}")),
        None => None,
    };
    let (share, more) = if share > 1.0 { (1.0, (share - 1.0) * times) } else { (share, 0.0) };
    let sign = if is_parallel { "||" } else { "x" };
    let main = match (show(share), times as u32) {
        (None, _) => None,
        (Some(_), 1) => of_share(share),
        (Some(share), times) if share.is_empty() => Some(format!("{times}{sign} {target}")),
        (Some(share), times) => Some(format!("{share} {times}{sign} {target}")),
    };
    (main, of_share(more.min(1.0)).filter(|_| more >= 1.0 - WHOLE))
}

/// A share with four digits, nothing where it is all; none of a share that is none.
fn show(share: f64) -> Option<String> {
    if share >= WHOLE {
        return Some(String::new());
    }
    if share <= 0.0 {
        return None;
    }
    let unit = libm::pow(10.0, libm::floor(libm::log10(share)) - 3.0);
    Some(show_share(libm::round(share / unit) * unit))
}

/// The path with the caller's name of a parameter in place of one that is nearly the same: they are most
/// likely one value, and `simhost check` warns about a name that is nearly right.
fn own_names(to: &str, own: &str) -> String {
    let free = || path::parameters(own).filter(|name| path::parameters(to).all(|other| other != *name));
    let segment = |segment: &str| {
        let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let name = name.filter(|name| path::parameters(own).all(|other| other != *name));
        match name.and_then(|name| nearest(name, free())) {
            Some(near) => format!("{{{near}}}"),
            None => segment.to_owned(),
        }
    };
    to.split('/').map(segment).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(place: usize, service: &str, calls: Calls) -> Drawn {
        let (method, path) = ("GET".to_owned(), "/".to_owned());
        Drawn { place, calls, method, service: service.to_owned(), path }
    }

    fn of(count: u64, failed: u64) -> Route {
        let mut route = Route::default();
        (route.served.count, route.served.failed) = (count, failed);
        route
    }

    #[test]
    fn shares_and_repetitions_keep_the_number_of_calls() {
        let calls = |requests, made| Calls { requests, made, ..Calls::default() };
        let cases = [
            (calls(1_000, 1_000), "a"),
            (calls(100, 100), "10% a"),
            (calls(1_000, 3_000), "3x a"),
            (calls(500, 1_000), "50% 2x a"),
            (calls(1_000, 1_300), "a, 30% a"),
            (calls(1_000, 2_400), "2x a, 40% a"),
            (Calls { repeated: 9, overlapping: 8, ..calls(1_000, 2_000) }, "2|| a"),
            (Calls { failed: 10, survived: 6, ..calls(1_000, 1_000) }, "a?"),
        ];
        for (calls, expected) in cases {
            assert_eq!(text(&of(1_000, 0), vec![drawn(0, "a", calls)], "/", None), expected);
        }
    }

    #[test]
    fn requests_that_failed_before_a_call_do_not_lower_its_share() {
        let calls = Calls { requests: 900, made: 900, ..Calls::default() };
        assert_eq!(text(&of(1_000, 100), vec![drawn(0, "a", calls)], "/", None), "a");
    }

    #[test]
    fn calls_at_the_same_time_are_a_step_and_the_others_keep_their_order() {
        let mut route = of(10, 0);
        route.pairs.extend([((0, 1), (10, 9)), ((0, 2), (10, 1)), ((1, 2), (10, 0))]);
        let calls = |ranks| Calls { requests: 10, made: 10, ranks, ..Calls::default() };
        let drawn = vec![drawn(2, "c", calls(0)), drawn(1, "b", calls(20)), drawn(0, "a", calls(10))];
        assert_eq!(text(&route, drawn, "/", None), "c, a & b");
    }

    #[test]
    fn a_nearly_equal_parameter_is_the_callers() {
        assert_eq!(own_names("/stock/{item_id}/x", "/items/{itemId}"), "/stock/{itemId}/x");
        assert_eq!(own_names("/stock/{sku}", "/items/{id}"), "/stock/{sku}");
    }
}
