//! Times that were measured, as a distribution of a topology.

use crate::clock;
use crate::model::Nanos;

use super::bounds::MAX_POINTS;

/// Times from which on a log-normal distribution is tried: fewer meet any.
const MANY: usize = 10;

/// What a log-normal distribution may be off, of a percentile's logarithm; and how many standard errors of a
/// median more, as measured percentiles vary.
const LOGNORMAL_OFF: f64 = 0.02;
const ERRORS_OFF: f64 = 2.5;

/// Times closer together than this share are one time.
const SAME: f64 = 0.02;

/// What straight lines between percentiles may be off, relative to the time; and what more, divided by the
/// root of the number of times.
const LINES_OFF: f64 = 0.02;
const LINES_ERROR: f64 = 0.3;

const MINUTE: Nanos = 60_000_000_000;

/// Times below this are compared as if they were as long: nanoseconds.
const SHORT: f64 = 1_000.0;

/// Percentiles beyond these matter less: few requests are there.
const BULK: std::ops::RangeInclusive<u32> = 10..=990;
const TAIL_WEIGHT: f64 = 0.3;

/// How a key's value is written: `"5ms"`, `{ lognormal = { … } }` or `{ percentiles = { … } }`.
pub fn distribution(times: &mut [Nanos]) -> String {
    times.sort_unstable();
    let time = |permille| quantile(times, permille);
    match times {
        [] => return "\"0ms\"".to_owned(),
        [only] => return fixed(*only),
        _ => {}
    }
    let (low, median, high) = (time(10), time(500), time(990));
    if (high - low) as f64 <= (SAME * median as f64).max(1.0) {
        return fixed(median);
    }
    lognormal(times).unwrap_or_else(|| percentiles(times))
}

/// The time below which so many in a thousand lie, on a straight line between two. The times are sorted, and
/// there is one.
pub fn quantile(times: &[Nanos], permille: u32) -> Nanos {
    let thousandth = (times.len() - 1) as u128 * u128::from(permille);
    let (at, rest) = ((thousandth / 1_000) as usize, thousandth % 1_000);
    let (low, high) = (times[at], times[(at + 1).min(times.len() - 1)]);
    low + (u128::from(high - low) * rest / 1_000) as Nanos
}

/// A distribution of which two draws are together as long as the times: log-normal, with their mean and their
/// variance, but for one in a hundred at each end.
pub fn halves(times: &mut [Nanos]) -> String {
    times.sort_unstable();
    let rare = times.len() / 100;
    let usual = &times[rare..times.len() - rare];
    let count = usual.len().max(1) as f64;
    let mean = usual.iter().map(|time| *time as f64).sum::<f64>() / count;
    let variance =
        usual.iter().map(|time| (*time as f64 - mean) * (*time as f64 - mean)).sum::<f64>() / count;
    // The sum of two has half the relative variance of one.
    let relative = 2.0 * variance / (mean * mean).max(1.0);
    let sigma = libm::sqrt(libm::log1p(relative));
    let median = (mean / 2.0 / libm::exp(sigma * sigma / 2.0)) as Nanos;
    let sigma = libm::round(sigma * 1_000.0) / 1_000.0;
    if sigma <= SAME || median == 0 {
        return fixed((mean / 2.0) as Nanos);
    }
    format!("{{ lognormal = {{ median = {:?}, sigma = {sigma:?} }} }}", shown(rounded(median)))
}

/// How one time is written.
pub fn fixed(time: Nanos) -> String {
    format!("{:?}", shown(rounded(time)))
}

/// A time as a number and one unit: the scripted guest takes no `1m30s`.
pub fn shown(time: Nanos) -> String {
    let text = clock::show(time);
    if time < MINUTE { text } else { format!("{}s", time as f64 / 1e9) }
}

/// To four digits: more would only look exact.
fn rounded(time: Nanos) -> Nanos {
    let unit = 10_u64.pow(time.checked_ilog10().unwrap_or(0).saturating_sub(3));
    time.saturating_add(unit / 2) / unit * unit
}

/// Where the percentiles are those of a log-normal distribution.
fn lognormal(times: &[Nanos]) -> Option<String> {
    // Percentiles in permille, and the standard normal distribution's quantiles there.
    const NORMAL: [(u32, f64); 7] = [
        (50, -1.644_854),
        (100, -1.281_552),
        (250, -0.674_490),
        (500, 0.0),
        (750, 0.674_490),
        (900, 1.281_552),
        (950, 1.644_854),
    ];
    if times.len() < MANY || quantile(times, 50) == 0 {
        return None;
    }
    let logarithm = |permille| libm::log(quantile(times, permille) as f64);
    let median = logarithm(500);
    let sigma = (logarithm(900) - logarithm(100)) / (2.0 * 1.281_552);
    let tolerance = LOGNORMAL_OFF + ERRORS_OFF * sigma / libm::sqrt(times.len() as f64);
    let is_near =
        |&(permille, normal): &(u32, f64)| (logarithm(permille) - median - sigma * normal).abs() <= tolerance;
    let sigma = libm::round(sigma * 1_000.0) / 1_000.0;
    if sigma <= 0.0 || !NORMAL.iter().all(is_near) {
        return None;
    }
    let median = shown(rounded(quantile(times, 500)));
    Some(format!("{{ lognormal = {{ median = {median:?}, sigma = {sigma:?} }} }}"))
}

/// As few points as straight lines between them need to be near all percentiles.
fn percentiles(times: &[Nanos]) -> String {
    let mut points: Vec<u32> = vec![0, 1_000];
    let tolerance = LINES_OFF + LINES_ERROR / libm::sqrt(times.len() as f64);
    // Few times do not tell many points.
    let most = MAX_POINTS.min(3 + times.len().ilog2() as usize / 2);
    while points.len() < most {
        let worst = points.windows(2).filter_map(|ends| worst(times, ends[0], ends[1]));
        let Some((off, at)) = worst.max_by(|one, other| one.0.total_cmp(&other.0).then(other.1.cmp(&one.1)))
        else {
            break;
        };
        if off <= tolerance {
            break;
        }
        points.insert(points.partition_point(|point| *point < at), at);
    }
    let point = |permille: &u32| {
        let key = match (permille / 10, permille % 10) {
            (percent, 0) => format!("p{percent}"),
            (percent, tenth) => format!("\"p{percent}.{tenth}\""),
        };
        format!("{key} = {}", fixed(quantile(times, *permille)))
    };
    let points: Vec<_> = points.iter().map(point).collect();
    format!("{{ percentiles = {{ {} }} }}", points.join(", "))
}

/// Between two points, where the straight line is furthest from the times, and how far.
fn worst(times: &[Nanos], from: u32, to: u32) -> Option<(f64, u32)> {
    let (low, high) = (quantile(times, from) as f64, quantile(times, to) as f64);
    let off = |permille: u32| {
        let line = low + (high - low) * f64::from(permille - from) / f64::from(to - from);
        let time = quantile(times, permille) as f64;
        let weight = if BULK.contains(&permille) { 1.0 } else { TAIL_WEIGHT };
        (weight * (line - time).abs() / time.max(SHORT), permille)
    };
    (from + 1..to).map(off).max_by(|one, other| one.0.total_cmp(&other.0).then(other.1.cmp(&one.1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Distribution;
    use crate::rng::{Key, Purpose};
    use crate::topology;

    const MS: Nanos = 1_000_000;

    #[test]
    fn equal_times_are_one_and_none_are_zero() {
        assert_eq!(distribution(&mut []), "\"0ms\"");
        assert_eq!(distribution(&mut [430]), "\"430ns\"");
        assert_eq!(distribution(&mut [430; 100]), "\"430ns\"");
        assert_eq!(distribution(&mut [36_634_623; 3]), "\"36.63ms\"");
        assert_eq!(distribution(&mut [65_432_100_000; 3]), "\"65.43s\"");
    }

    /// A distribution as the topology reads what is written.
    fn read(written: &str) -> Distribution {
        let text = format!(
            "topology.name = \"t\"\nservices.a.guest = \"service\"\n[[links]]\nfrom = \"a\"\nto = \"a\"\nlatency = {written}\n"
        );
        let read = topology::parse("t.toml", &text, std::path::Path::new(""), &["service"]);
        read.expect("a topology").model.links[0].latency.clone().expect("a latency")
    }

    #[test]
    fn two_modes_keep_their_shares() {
        // Nine in ten from 20 to 50 ms, one in ten from 270 to 300 ms.
        let mode = |from: u64, count: u64| (0..count).map(move |at| (from + at * 30 / count) * MS);
        let mut times: Vec<_> = mode(20, 9_000).chain(mode(270, 1_000)).collect();
        let Distribution::Percentiles(points) = read(&distribution(&mut times)) else {
            panic!("no percentiles")
        };
        assert!(points.len() <= MAX_POINTS, "{points:?}");
        let far = points.iter().filter(|(percent, _)| !(89.8..=90.2).contains(percent));
        let between = far.filter(|(_, time)| (50 * MS..270 * MS).contains(time)).count();
        assert_eq!(between, 0, "{points:?}");
        let jump = points.windows(2).find(|pair| pair[1].1 - pair[0].1 > 100 * MS).expect("a jump");
        assert!(jump[0].0 >= 89.8 && jump[1].0 <= 90.2, "{points:?}");
    }

    #[test]
    fn two_draws_of_a_half_are_as_long_as_the_whole() {
        let stream = &mut Key::new(7, Purpose::Latency).stream();
        let source = Distribution::Lognormal { median: MS, sigma: 0.4 };
        let mut times: Vec<_> = (0..50_000).map(|_| source.sample(stream) + source.sample(stream)).collect();
        let written = read(&halves(&mut times));
        let Distribution::Lognormal { median, sigma } = written else { panic!("{written:?}") };
        // Without the rarest times it is a little narrower than what they were drawn from.
        assert!(median.abs_diff(MS) < MS / 33 && (0.36..0.4).contains(&sigma), "{median} {sigma}");
        assert_eq!(halves(&mut [2 * MS; 5]), "\"1ms\"");
        assert_eq!(halves(&mut []), "\"0ns\"");
    }

    #[test]
    fn what_is_log_normal_is_written_so() {
        let stream = &mut Key::new(7, Purpose::Latency).stream();
        let source = Distribution::Lognormal { median: 5 * MS, sigma: 0.5 };
        let mut times: Vec<_> = (0..50_000).map(|_| source.sample(stream)).collect();
        let written = read(&distribution(&mut times));
        let Distribution::Lognormal { median, sigma } = written else { panic!("{written:?}") };
        assert!(median.abs_diff(5 * MS) < MS / 20 && (sigma - 0.5).abs() < 0.01, "{median} {sigma}");
    }
}
