//! Counting requests: how many there were, how many failed and why, how long
//! they took, and how many there were at a time.

mod exemplars;
pub mod timeline;

use std::borrow::Cow;
use std::collections::BTreeMap;

use hdrhistogram::Histogram;

pub use exemplars::Exemplar;

use crate::model::Nanos;
use exemplars::Exemplars;

/// What quantiles tell apart of all but short times: nanoseconds. Finer histograms would take more memory.
const RESOLUTION: Nanos = 1_000;

/// Times below this are short: nanoseconds. A request that only computes takes some hundred, so they have a
/// histogram of their own, which tells each nanosecond.
const SHORT: Nanos = 1 << 16;

/// The `error.type` of a response that counts as an error; none for the others.
///
/// This is what "error" means wherever simhost counts: answered 5xx, or not
/// answered at all. A 4xx is an answer, to a caller who asked for the wrong thing.
pub fn error_type(status: u16) -> Option<Cow<'static, str>> {
    Some(Cow::Borrowed(match status {
        ..500 => return None,
        500 => "500",
        501 => "501",
        502 => "502",
        503 => "503",
        504 => "504",
        other => return Some(Cow::Owned(other.to_string())),
    }))
}

/// Requests of one kind: of a route, a link, a load.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Requests that came to an end, whichever.
    pub count: u64,
    /// Of those, the ones that failed, by their `error.type`.
    pub errors: BTreeMap<Cow<'static, str>, u64>,
    /// The longest time that one took, exactly.
    pub longest: Nanos,
    /// All their times together: nanoseconds.
    pub total: u128,
    /// Of all, the ones that began when no more requests were made: what requests that
    /// were still under way led to. They are not part of any rate.
    pub late: u64,
    /// Those that took no time at all, as all do that neither wait nor compute: they need no histogram.
    instant: u64,
    /// Times below [`SHORT`]; none before the first.
    short: Option<Box<Histogram<u32>>>,
    times: Histogram<u32>,
    /// None where no traces are kept.
    exemplars: Option<Box<Exemplars>>,
}

impl Default for Tally {
    /// For what a person judges by, routes and loads: three digits, so that the
    /// quantiles are within 0.1 %. Takes up to 50 kB for times of a second, and 33 kB for short ones.
    fn default() -> Self {
        Self::with_digits(3)
    }
}

impl Tally {
    /// For what there is much of, links and queues: two digits, so that the
    /// quantiles are within 1 %. Takes up to 8 kB for times of a second, and 6 kB for short ones.
    pub fn coarse() -> Self {
        Self::with_digits(2)
    }

    fn with_digits(digits: u8) -> Self {
        let mut times = Histogram::new_with_bounds(RESOLUTION, 2 * RESOLUTION, digits)
            .expect("these bounds and digits are valid");
        times.auto(true);
        Self {
            count: 0,
            errors: BTreeMap::new(),
            longest: 0,
            total: 0,
            late: 0,
            instant: 0,
            short: None,
            times,
            exemplars: None,
        }
    }

    /// Notes a request that took `took` and, where it failed, its `error.type`.
    pub fn note(&mut self, took: Nanos, error: Option<Cow<'static, str>>) {
        self.count += 1;
        self.longest = self.longest.max(took);
        self.total += u128::from(took);
        if let Some(error) = error {
            *self.errors.entry(error).or_default() += 1;
        }
        match took {
            0 => self.instant += 1,
            1..SHORT => self.short_times().saturating_record(took),
            // It grows as it must; no time of a run is too long for it.
            _ => _ = self.times.record(took),
        }
    }

    fn short_times(&mut self) -> &mut Histogram<u32> {
        let digits = self.times.sigfig();
        self.short.get_or_insert_with(|| {
            let short = Histogram::new_with_bounds(1, SHORT, digits);
            Box::new(short.expect("these bounds and digits are valid"))
        })
    }

    /// How many have a time.
    fn timed(&self) -> u64 {
        self.instant + self.short.as_ref().map_or(0, |short| short.len()) + self.times.len()
    }

    /// Notes the trace of a request that is counted.
    pub fn note_trace(&mut self, exemplar: Exemplar) {
        self.exemplars.get_or_insert_default().note(exemplar);
    }

    /// Notes a request that failed before it began: it took no time that could be told.
    pub fn refuse(&mut self, error: Cow<'static, str>) {
        self.count += 1;
        *self.errors.entry(error).or_default() += 1;
    }

    /// How many failed.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// The time that a share `quantile` (`0.0..=1.0`) of the requests did not exceed.
    pub fn quantile(&self, quantile: f64) -> Nanos {
        let rank = (quantile * self.timed() as f64).ceil() as u64;
        let Some(rank) = rank.checked_sub(self.instant).filter(|rank| *rank > 0) else { return 0 };
        let short = self.short.as_deref().filter(|short| rank <= short.len());
        let below = if short.is_some() { 0 } else { self.short.as_ref().map_or(0, |short| short.len()) };
        let times = short.unwrap_or(&self.times);
        // Half a rank less: the histogram rounds up.
        let share = ((rank - below) as f64 - 0.5) / times.len() as f64;
        times.value_at_quantile(share).min(self.longest)
    }

    /// A request whose trace is known and whose time is near to that which a share `quantile` of the
    /// requests did not exceed.
    pub fn exemplar(&self, quantile: f64) -> Option<Exemplar> {
        self.exemplars.as_ref()?.nearest(self.quantile(quantile))
    }

    /// The mean time of those that began, in nanoseconds; 0 where there were none.
    pub fn mean(&self) -> f64 {
        let begun = self.timed();
        if begun == 0 { 0.0 } else { self.total as f64 / begun as f64 }
    }

    /// How many began in each second of `time`, a length in nanoseconds, in which requests
    /// were made; 0 for no time.
    pub fn rate(&self, time: Nanos) -> f64 {
        if time == 0 { 0.0 } else { (self.count - self.late) as f64 / (time as f64 / 1e9) }
    }

    /// Takes in what another has counted.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.longest = self.longest.max(other.longest);
        self.total += other.total;
        self.late += other.late;
        self.instant += other.instant;
        for (error, count) in &other.errors {
            *self.errors.entry(error.clone()).or_default() += count;
        }
        self.times.add(&other.times).ok();
        if let Some(theirs) = &other.short {
            self.short_times().add(&**theirs).ok();
        }
        if let Some(theirs) = &other.exemplars {
            self.exemplars.get_or_insert_default().merge(theirs);
        }
    }
}

/// How many there are of something at a time, and were over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauge {
    level: u64,
    most: u64,
    entered: u64,
    /// The level over time, up to `read`: nanoseconds.
    integral: u128,
    /// The level over time, up to the last request that was made: nanoseconds.
    marked: u128,
    /// When it was last brought up to date.
    read: Nanos,
}

impl Gauge {
    /// One more from `now` on.
    pub fn enter(&mut self, now: Nanos) {
        self.read(now);
        self.level += 1;
        self.entered += 1;
        self.most = self.most.max(self.level);
    }

    /// One less from `now` on.
    pub fn leave(&mut self, now: Nanos) {
        self.read(now);
        self.level -= 1;
    }

    /// Brings the integral up to `now`.
    pub fn read(&mut self, now: Nanos) {
        self.integral += u128::from(self.level) * u128::from(now.saturating_sub(self.read));
        self.read = now;
    }

    /// Brings the integral up to `now`, the end of the time that [`mean`](Self::mean) is over.
    pub fn mark(&mut self, now: Nanos) {
        self.read(now);
        self.marked = self.integral;
    }

    /// When it last changed, or was read: nanoseconds.
    pub const fn changed(&self) -> Nanos {
        self.read
    }

    pub const fn level(&self) -> u64 {
        self.level
    }

    /// The most that there ever were at a time.
    pub const fn most(&self) -> u64 {
        self.most
    }

    /// How many came in all.
    pub const fn entered(&self) -> u64 {
        self.entered
    }

    /// The level over time: nanoseconds.
    pub const fn integral(&self) -> u128 {
        self.integral
    }

    /// The mean level over `time`, a length in nanoseconds that ends where the gauge was
    /// [marked](Self::mark); 0 for no time.
    pub fn mean(&self, time: Nanos) -> f64 {
        if time == 0 { 0.0 } else { self.marked as f64 / time as f64 }
    }

    /// Takes in what another has counted meanwhile. The most is of one alone.
    pub fn merge(&mut self, other: &Self) {
        self.level += other.level;
        self.most = self.most.max(other.most);
        self.entered += other.entered;
        self.integral += other.integral;
        self.marked += other.marked;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_knows_its_mean_and_its_most() {
        let mut gauge = Gauge::default();
        gauge.enter(10);
        gauge.enter(20);
        gauge.leave(40);
        gauge.mark(60);
        gauge.leave(110);
        gauge.read(200);
        assert_eq!((gauge.level(), gauge.most(), gauge.entered(), gauge.integral()), (0, 2, 2, 120));
        // Up to the mark: one for 10, two for 20, and one for 20 nanoseconds.
        assert_eq!((gauge.mean(50), gauge.mean(0)), (1.4, 0.0));
    }

    #[test]
    fn an_error_is_a_5xx() {
        let errors = [200, 301, 404, 499, 500, 503, 599].map(error_type);
        let names: Vec<_> = errors.iter().flatten().map(|name| &**name).collect();
        assert_eq!(names, ["500", "503", "599"]);
    }

    #[test]
    fn no_time_at_all_is_told_from_some() {
        let mut tally = Tally::default();
        (0..60).for_each(|_| tally.note(0, Some("503".into())));
        (0..40).for_each(|_| tally.note(300_000_000, None));
        assert_eq!((tally.quantile(0.5), tally.quantile(0.6)), (0, 0));
        assert_eq!(tally.quantile(0.61), 300_000_000);
        let mut merged = tally.clone();
        merged.merge(&tally);
        assert_eq!((merged.quantile(0.6), merged.quantile(0.61)), (0, 300_000_000));
    }

    #[test]
    fn quantiles_are_as_exact_as_they_say() {
        for (mut tally, within) in [(Tally::default(), 0.001), (Tally::coarse(), 0.01)] {
            (1..=10_000_u64).for_each(|number| tally.note(number * 1_000_000, None));
            for quantile in [0.5, 0.9, 0.99] {
                let exact = quantile * 1e10;
                let found = tally.quantile(quantile) as f64;
                assert!((found - exact).abs() <= within * exact, "{found} for {exact}");
            }
        }
    }

    #[test]
    fn short_times_are_told_to_the_nanosecond_and_no_quantile_is_above_the_longest() {
        for mut tally in [Tally::default(), Tally::coarse()] {
            (0..50).for_each(|_| tally.note(371, None));
            (0..40).for_each(|_| tally.note(489, None));
            assert_eq!([0.5, 0.99, 1.0].map(|quantile| tally.quantile(quantile)), [371, 489, 489]);
            (0..10).for_each(|_| tally.note(70_000, None));
            assert_eq!([0.5, 0.9, 0.91].map(|quantile| tally.quantile(quantile)), [371, 489, 70_000]);
            assert_eq!(tally.mean(), (50.0 * 371.0 + 40.0 * 489.0 + 10.0 * 70_000.0) / 100.0);
            let mut twice = Tally::coarse();
            twice.merge(&tally);
            twice.merge(&tally);
            assert_eq!([0.5, 0.9, 0.91].map(|quantile| twice.quantile(quantile)), [371, 489, 70_000]);
        }
    }

    #[test]
    fn a_histogram_takes_no_more_memory_than_it_says() {
        let bounds = [(Tally::default(), 50_000, 33_000), (Tally::coarse(), 8_000, 6_000)];
        for (mut tally, bytes, of_short) in bounds {
            tally.note(1_000_000_000, None);
            tally.note(SHORT - 1, None);
            let short = tally.short.as_ref().expect("one was short");
            for (histogram, bytes) in [(&tally.times, bytes), (short, of_short)] {
                let taken = histogram.distinct_values() * size_of::<u32>();
                assert!((bytes / 2..=bytes).contains(&taken), "{taken} bytes");
            }
        }
    }

    #[test]
    fn two_tallies_merged_are_as_one_that_saw_everything() {
        let (mut all, mut parts) = (Tally::default(), [Tally::default(), Tally::default()]);
        for number in 0..1_000_u64 {
            let error = number.is_multiple_of(10).then_some(Cow::Borrowed("timeout"));
            all.note(number * 1_000, error.clone());
            parts[usize::from(number.is_multiple_of(3))].note(number * 1_000, error);
        }
        let [mut merged, other] = parts;
        merged.merge(&other);
        assert_eq!((merged.count, merged.failed(), merged.longest), (1_000, 100, 999_000));
        assert_eq!(merged.total, all.total);
        assert_eq!([0.5, 0.95, 0.99].map(|q| merged.quantile(q)), [0.5, 0.95, 0.99].map(|q| all.quantile(q)));
    }
}
