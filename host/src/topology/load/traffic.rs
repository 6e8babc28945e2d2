//! When the requests of a load come: `arrivals`, or `users` and what they do.

use super::super::distribution::distribution;
use super::super::rates::{RATE_AT_MOST, RATE_REMEDY, rate, rate_from_zero, show_rate};
use super::super::reader::{Table, Value, optional};
use super::super::units::{duration, positive_duration};
use super::{COUNT_AT_MOST, Surroundings, draw};
use crate::clock;
use crate::error::{Problem, quote};
use crate::model::{After, Arrivals, Curve, Nanos, Rate, Replay, Spacing, Traffic, Users};

/// The period of a daily curve.
const DAY: Nanos = 86_400_000_000_000;

/// Users of a load and points of a curve.
const USERS_AT_MOST: u32 = 100_000;
const POINTS_AT_MOST: usize = 10_000;

/// How requests follow one another, and how many may be under way: of the keys
/// `arrivals`, `users`, `think`, `ramp-up`, `iterations` and `max-in-flight`.
pub(super) fn traffic(
    table: &Table<'_>,
    keys: [Option<Value<'_>>; 6],
    around: &Surroundings<'_>,
) -> Option<(Traffic, u32)> {
    let [arrivals_value, users_value, think, ramp_up, iterations, max_in_flight] = keys;
    match (arrivals_value, users_value) {
        (Some(arrivals_value), None) => {
            let closed = [&think, &ramp_up, &iterations];
            closed.into_iter().flatten().for_each(|value| alien(value, "users"));
            let at_most = around.bounds.requests;
            let max_in_flight = max_in_flight.map_or(Some(at_most), |value| value.count(1..=at_most));
            Some((Traffic::Open(arrivals(&arrivals_value, around)?), max_in_flight?))
        }
        (None, Some(users_value)) => {
            max_in_flight.iter().for_each(|value| alien(value, "arrivals"));
            let count = users_value.count(1..=USERS_AT_MOST);
            let remedy = "say how long a user waits between an answer and the next request: think = \"1s\"";
            let think = table.need("think", think, remedy).and_then(|value| distribution(&value));
            let ramp_up = ramp_up.map_or(Some(0), |value| duration(&value));
            let iterations = optional(iterations, |value| value.whole(1..=COUNT_AT_MOST));
            let count = count?;
            let users = Users { count, think: think?, ramp_up: ramp_up?, iterations: iterations? };
            Some((Traffic::Closed(users), count))
        }
        (Some(_), Some(users_value)) => users_value.refuse_key(
            Problem::new("the load has both arrivals and users")
                .label("arrivals is given as well")
                .help("keep arrivals if requests come whatever became of those before, users if they wait"),
        ),
        (None, None) => {
            let remedy = "say when requests come: arrivals = { poisson = \"50/s\" }, or users = 20";
            table.need("arrivals", None, remedy);
            None
        }
    }
}

/// Notes a key that belongs to loads of another kind.
fn alien(value: &Value<'_>, other: &str) {
    value.refuse_key::<()>(
        Problem::new(format!("{} is for loads with {other}, which this one has not", quote(value.key)))
            .label("has no effect")
            .help("leave it out"),
    );
}

/// `arrivals = { poisson = "50/s" }`.
fn arrivals(value: &Value<'_>, around: &Surroundings<'_>) -> Option<Arrivals> {
    let table = value.table("arrivals")?;
    let [constant, poisson, ramp_value, bursts_value, diurnal_value, replay, spacing] =
        table.keys(["constant", "poisson", "ramp", "bursts", "diurnal", "replay", "spacing"]);
    let given = [&constant, &poisson, &ramp_value, &bursts_value, &diurnal_value, &replay];
    let given: Vec<_> = given.into_iter().flatten().collect();
    let [kind] = given[..] else {
        // An unknown kind has been noted already.
        if table.entries().len() == given.len() + usize::from(spacing.is_some()) {
            table.note(
                Problem::new(format!("arrivals names {} kinds", given.len()))
                    .label("exactly one is needed")
                    .help("write for example { poisson = \"50/s\" }"),
            );
        }
        return None;
    };
    let curve = match kind.key {
        "ramp" => ramp(kind),
        "bursts" => bursts(kind),
        "diurnal" => diurnal(kind),
        _ => {
            spacing.iter().for_each(|spacing| alien(spacing, "a ramp, bursts or a diurnal curve"));
            let steady = |spacing| {
                let points = vec![(0, rate(kind)?)];
                Some(Arrivals::Curve { curve: Curve::Lines { points, after: After::Hold }, spacing })
            };
            return match kind.key {
                "constant" => steady(Spacing::Even),
                "poisson" => steady(Spacing::Poisson),
                _ => {
                    let path = around.folder.join(kind.filled()?);
                    Some(Arrivals::Replay(Replay::File { path, place: kind.place() }))
                }
            };
        }
    };
    let choices = [("poisson", Spacing::Poisson), ("even", Spacing::Even)];
    let spacing = spacing.map_or(Some(Spacing::Poisson), |value| value.choice("spacing", &choices));
    Some(Arrivals::Curve { curve: curve?, spacing: spacing? })
}

/// `ramp = { from = "0/s", to = "100/s", over = "5m", then = "hold" }`.
fn ramp(value: &Value<'_>) -> Option<Curve> {
    let table = value.table("the ramp")?;
    let remedy = "write ramp = { from = \"0/s\", to = \"100/s\", over = \"5m\" }";
    let [from, to, over, then] = table.keys(["from", "to", "over", "then"]);
    let from = table.need("from", from, remedy).and_then(|value| rate_from_zero(&value));
    let to = table.need("to", to, remedy).and_then(|value| rate_from_zero(&value));
    let over = table.need("over", over, remedy).and_then(|value| positive_duration(&value));
    let choices = [("hold", After::Hold), ("end", After::End)];
    let after = then.map_or(Some(After::Hold), |value| value.choice("ending", &choices));
    let points = vec![(0, from?), (over?, to?)];
    some_rate(value, &points)?;
    Some(Curve::Lines { points, after: after? })
}

/// `bursts = { base = "10/s", size = 500, every = "1m", lasting = "5s" }`.
fn bursts(value: &Value<'_>) -> Option<Curve> {
    let table = value.table("the bursts")?;
    let remedy = "write bursts = { base = \"10/s\", size = 500, every = \"1m\", lasting = \"5s\" }";
    let [base, size, every, lasting_value] = table.keys(["base", "size", "every", "lasting"]);
    let base = base.map_or(Some(0.0), |value| rate_from_zero(&value));
    let size = table.need("size", size, remedy).and_then(|value| value.count(1..=u32::MAX));
    let every = table.need("every", every, remedy).and_then(|value| positive_duration(&value));
    let lasting_value = table.need("lasting", lasting_value, remedy);
    let lasting = lasting_value.as_ref().and_then(positive_duration);
    let (base, size, every, lasting) = (base?, size?, every?, lasting?);
    if lasting > every {
        let message = format!("a burst lasts {}, longer than from one to the next", clock::show(lasting));
        let help = format!("write a time up to {}", clock::show(every));
        return lasting_value?.refuse(Problem::new(message).label("too long").help(help));
    }
    let high = base + f64::from(size) / (lasting as f64 / 1e9);
    if high > RATE_AT_MOST {
        let message = format!("a burst has {} requests in a second", show_rate(high));
        let help = format!(
            "a load makes at most {} in a second: let a burst last longer, or be smaller",
            show_rate(RATE_AT_MOST)
        );
        return value.refuse(Problem::new(message).label("too many").help(help));
    }
    let points = vec![(0, high), (lasting, high), (lasting, base), (every, base)];
    Some(Curve::Lines { points, after: After::Repeat })
}

/// `diurnal = { min = "5/s", max = "100/s", peak = "14h" }`, or with `points`.
fn diurnal(value: &Value<'_>) -> Option<Curve> {
    let table = value.table("the diurnal curve")?;
    let [min_value, max, period, peak, points] = table.keys(["min", "max", "period", "peak", "points"]);
    let period = period.map_or(Some(DAY), |value| positive_duration(&value));
    if let Some(points) = points {
        [&min_value, &max, &peak].into_iter().flatten().for_each(|value| alien(value, "a peak"));
        return of_points(&points, period?);
    }
    let remedy = "write diurnal = { min = \"5/s\", max = \"100/s\", period = \"24h\", peak = \"14h\" }";
    let min_value = table.need("min", min_value, remedy);
    let min = min_value.as_ref().and_then(rate_from_zero);
    let max = table.need("max", max, remedy).and_then(|value| rate(&value));
    let period = period?;
    let peak = match peak {
        Some(value) => within(&value, period),
        None => Some(period / 2),
    };
    let (min, max) = (min?, max?);
    if min > max {
        let problem = Problem::new("min is greater than max").label("greater than max").help("swap them");
        return min_value?.refuse(problem);
    }
    Some(Curve::Wave { min, max, period, peak: peak? })
}

/// A time within a period.
fn within(value: &Value<'_>, period: Nanos) -> Option<Nanos> {
    let time = duration(value)?;
    if time < period {
        return Some(time);
    }
    let (time, period) = (clock::show(time), clock::show(period));
    value.refuse(
        Problem::new(format!("{time} is not within the period of {period}"))
            .label("too late")
            .help(format!("write a time from the period's beginning on, below {period}")),
    )
}

/// `points = [["0h", "5/s"], ["9h", "80/s"]]`: straight lines, the last back to the first.
fn of_points(value: &Value<'_>, period: Nanos) -> Option<Curve> {
    let remedy = "write pairs of a time and a rate, as in points = [[\"0h\", \"5/s\"], [\"9h\", \"80/s\"]]";
    let list = value.list()?;
    if !(2..=POINTS_AT_MOST).contains(&list.len()) {
        let message = format!("points has {} points", list.len());
        let problem = Problem::new(message).label(format!("2 to {POINTS_AT_MOST} are needed"));
        return value.refuse(problem.help(remedy));
    }
    let mut points: Vec<(Nanos, Rate)> = Vec::new();
    for pair in list {
        let [time, rate] = &draw::pair(&pair, remedy)?;
        let (at, rate) = (within(time, period)?, rate_from_zero(rate)?);
        if points.last().is_some_and(|(before, _)| *before >= at) {
            let problem =
                Problem::new("the times of points must rise").label("not later than the one before");
            return time.refuse(problem.help("put the points in the order of time, each time once"));
        }
        points.push((at, rate));
    }
    some_rate(value, &points)?;
    let (first, last) = (points[0], points[points.len() - 1]);
    // From the last point to the first of the next period; cut where the period ends.
    let gap = (period - last.0 + first.0) as f64;
    let at_end = last.1 + (first.1 - last.1) * (period - last.0) as f64 / gap;
    if first.0 > 0 {
        points.insert(0, (0, at_end));
    }
    points.push((period, at_end));
    Some(Curve::Lines { points, after: After::Repeat })
}

/// Refuses a curve that never makes a request.
fn some_rate(value: &Value<'_>, points: &[(Nanos, Rate)]) -> Option<()> {
    if points.iter().any(|(_, rate)| *rate > 0.0) {
        return Some(());
    }
    let problem = Problem::new("the rate is 0 throughout").label("no request, ever");
    value.refuse(problem.help(RATE_REMEDY))
}
