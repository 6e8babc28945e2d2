//! Chance, from the seed.
//!
//! Every draw comes from a [`Stream`] that is named by what it is for, never
//! from a shared generator: adding a fault or a service moves no other draw.

use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::model::{Distribution, Model, Nanos};

/// The generator behind a stream: small, fast and the same on every platform.
pub type Stream = Xoshiro256PlusPlus;

/// What a stream is for. The number is part of every draw: never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    TraceId = 1,
    SpanId = 2,
    Guest = 3,
    GuestStart = 4,
    Latency = 5,
    Fault = 6,
    Replica = 7,
    Instance = 8,
    Retry = 9,
    Trace = 10,
    /// Who a load's request is: its trace follows from it.
    Load = 11,
    Arrival = 12,
    /// Which request of a mix.
    Mix = 13,
    /// A value in a request of a load.
    Value = 14,
    Think = 15,
    /// The seed of a world beside the first.
    Shard = 16,
    /// When a fault becomes active by itself, and what it draws then.
    Window = 17,
    /// What strikes a span when it is recorded.
    Record = 18,
    /// The root of a run: of its seed and its topology's name.
    Root = 19,
    /// The IP address of a replica or a client.
    Address = 20,
    /// Which of several targets a fault has.
    Target = 21,
    /// Which measurement stays as an exemplar.
    Exemplar = 22,
    /// Where the draws of a database begin.
    Database = 23,
    /// A run of a job: its jitter, its replica, its traces.
    Job = 24,
    /// Who a message is, and what is drawn for it.
    Message = 26,
    /// How long the ways to a database and a commit there take, for what is asked of it.
    Statement = 27,
    /// A topology that is generated; no run draws from it.
    Generate = 30,
}

/// The name of a stream: a seed, a purpose and whatever else tells it apart.
///
/// Keys are values: `key.with(7)` leaves `key` as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(u64);

impl Key {
    /// The first part of a stream's name. `seed` is the run's root
    /// ([`Model::root`](crate::model::Model::root)) wherever a run draws from it.
    pub const fn new(seed: u64, purpose: Purpose) -> Self {
        Self(mix(seed)).with(purpose as u64)
    }

    /// The key of a part: of trace number `part`, of span `part`, …
    pub const fn with(self, part: u64) -> Self {
        Self(mix(self.0 ^ mix(part.wrapping_add(0x9e37_79b9_7f4a_7c15))))
    }

    /// The key of a part that has a name.
    pub fn with_name(self, name: &str) -> Self {
        // FNV-1a: the standard library's hashers promise no stable result.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        self.with(hash)
    }

    /// The key itself as a number, uniform over 64 bits: one draw without a stream.
    pub const fn draw(self) -> u64 {
        mix(self.0)
    }

    /// One draw in `0.0..1.0`, with 53 bits of precision.
    pub fn unit(self) -> f64 {
        unit(self.draw())
    }

    /// The stream of this name, from its beginning.
    pub fn stream(self) -> Stream {
        Stream::seed_from_u64(self.0)
    }
}

impl Model {
    /// The number that every draw of a run is made of: the seed and the topology's name.
    ///
    /// Two topologies share no ids and no arrivals, although many have the same seed.
    pub fn root(&self) -> u64 {
        Key::new(self.seed, Purpose::Root).with_name(&self.key_name).draw()
    }
}

/// Draws that are numbers.
pub trait Unit {
    /// One draw in `0.0..1.0`, with 53 bits of precision.
    fn unit(&mut self) -> f64;
}

impl Unit for Stream {
    fn unit(&mut self) -> f64 {
        unit(self.next_u64())
    }
}

impl Distribution {
    /// Draws a length of time; never below zero, and the parameters are valid
    /// since the topology was.
    ///
    /// The functions are `libm`'s, the same on every platform. `rand_distr` would
    /// take the platform's as soon as any dependency switches on `num-traits`'
    /// `std`, and some do.
    pub fn sample(&self, stream: &mut Stream) -> Nanos {
        let draw = match self {
            Self::Fixed(nanos) => return *nanos,
            Self::Uniform { min, max } => return stream.random_range(*min..=*max),
            Self::Normal { mean, stddev } => *mean as f64 + *stddev as f64 * normal(stream),
            // A zero median leaves nothing to spread.
            Self::Lognormal { median, sigma } => (*median).max(1) as f64 * libm::exp(*sigma * normal(stream)),
            Self::Exponential { mean } => *mean as f64 * -libm::log(above_zero(stream)),
            Self::Pareto { min, shape } => {
                (*min).max(1) as f64 * libm::pow(above_zero(stream), -1.0 / *shape)
            }
            Self::Percentiles(points) => return interpolate(points, stream.random_range(0.0..100.0)),
        };
        whole(draw)
    }
}

/// A number that is uniform over 64 bits as one in `0.0..1.0`, with 53 bits of precision.
fn unit(draw: u64) -> f64 {
    (draw >> 11) as f64 / (1_u64 << 53) as f64
}

/// One draw above zero, up to and with one.
fn above_zero(stream: &mut Stream) -> f64 {
    1.0 - unit(stream.next_u64())
}

/// One draw from the standard normal distribution, by the polar method
/// (Marsaglia and Bray, 1964).
fn normal(stream: &mut Stream) -> f64 {
    loop {
        let [x, y] = [stream.next_u64(), stream.next_u64()].map(|draw| 2.0 * unit(draw) - 1.0);
        let square = x * x + y * y;
        if square > 0.0 && square < 1.0 {
            return x * libm::sqrt(-2.0 * libm::log(square) / square);
        }
    }
}

/// Rounds down to whole nanoseconds, from zero up to about a century.
fn whole(nanos: f64) -> Nanos {
    const LONGEST: f64 = 3e18;
    nanos.clamp(0.0, LONGEST) as Nanos
}

/// The value at `percentile`, on straight lines between the points.
fn interpolate(points: &[(f64, Nanos)], percentile: f64) -> Nanos {
    let after = points.partition_point(|(at, _)| *at <= percentile);
    match (points[..after].last(), points.get(after)) {
        (Some((from, low)), Some((to, high))) => {
            let share = (percentile - from) / (to - from);
            whole(*low as f64 + share * (*high as f64 - *low as f64))
        }
        (Some((_, value)), None) | (None, Some((_, value))) => *value,
        (None, None) => 0,
    }
}

/// The finaliser of `SplitMix64` (Steele, Lea and Flood, 2014): a bijection in
/// which each input bit changes every output bit with a chance near one half.
const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_the_same_stream_every_time() {
        let key = Key::new(42, Purpose::Fault).with_name("slow").with(7);
        assert_eq!(key.stream().next_u64(), key.stream().next_u64());
        assert_eq!(key, Key::new(42, Purpose::Fault).with_name("slow").with(7));
    }

    #[test]
    fn streams_differ_by_seed_purpose_name_and_number() {
        let keys = [
            Key::new(42, Purpose::Fault).with(1),
            Key::new(43, Purpose::Fault).with(1),
            Key::new(42, Purpose::Latency).with(1),
            Key::new(42, Purpose::Fault).with(2),
            Key::new(42, Purpose::Fault).with_name("a"),
            Key::new(42, Purpose::Fault).with_name("b"),
        ];
        for (at, key) in keys.iter().enumerate() {
            for other in &keys[at + 1..] {
                assert_ne!(key.stream().next_u64(), other.stream().next_u64());
            }
        }
    }

    #[test]
    fn unit_draws_are_spread_over_the_whole_interval() {
        let key = Key::new(1, Purpose::Fault);
        let mut tenths = [0_u32; 10];
        for number in 0..10_000 {
            tenths[(key.with(number).unit() * 10.0) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (850..1150).contains(count)), "{tenths:?}");
    }

    fn mean_of(distribution: &Distribution) -> f64 {
        let mut stream = Key::new(5, Purpose::Latency).stream();
        (0..20_000).map(|_| distribution.sample(&mut stream) as f64).sum::<f64>() / 20_000.0
    }

    #[test]
    fn distributions_have_the_means_that_their_parameters_say() {
        let millisecond = 1_000_000;
        let cases = [
            (Distribution::Fixed(millisecond), 1.0),
            (Distribution::Normal { mean: 10 * millisecond, stddev: millisecond }, 10.0),
            (Distribution::Lognormal { median: millisecond, sigma: 0.5 }, 1.133),
            (Distribution::Exponential { mean: 3 * millisecond }, 3.0),
            (Distribution::Uniform { min: 0, max: 4 * millisecond }, 2.0),
            (Distribution::Pareto { min: millisecond, shape: 3.0 }, 1.5),
            (Distribution::Percentiles(vec![(0.0, 0), (100.0, 4 * millisecond)]), 2.0),
        ];
        for (distribution, expected) in cases {
            let mean = mean_of(&distribution) / 1e6;
            assert!((mean / expected - 1.0).abs() < 0.03, "{distribution:?}: {mean} ms, not {expected} ms");
        }
    }

    #[test]
    fn a_draw_is_never_below_zero() {
        let wild = Distribution::Normal { mean: 1, stddev: 1_000_000_000 };
        let mut stream = Key::new(5, Purpose::Latency).stream();
        let zeros = (0..1_000).filter(|_| wild.sample(&mut stream) == 0).count();
        assert!((400..600).contains(&zeros), "{zeros}");
    }

    #[test]
    fn draws_are_pinned_so_that_seeds_keep_their_meaning_across_releases() {
        assert_eq!(Key::new(42, Purpose::TraceId).with(1).draw(), 16_658_965_596_260_101_730);
        assert_eq!(Key::new(42, Purpose::TraceId).with(1).stream().next_u64(), 18_231_966_997_279_920_320);
    }

    /// If this fails, some function has another last digit than on the machine
    /// where the numbers were taken: the digests of runs differ as well.
    #[test]
    fn draws_of_every_distribution_are_pinned_to_the_nanosecond() {
        let draws = |distribution: &Distribution| {
            let mut stream = Key::new(42, Purpose::Latency).stream();
            let draws = (0..100_000).map(|_| distribution.sample(&mut stream));
            draws.fold((0, 0_u64), |(_, all), draw| (draw, all.wrapping_mul(31).wrapping_add(draw)))
        };
        let second = 1_000_000_000;
        let pinned = [
            (
                Distribution::Uniform { min: second, max: 2 * second },
                (1_666_872_141, 5_982_740_246_781_096_132),
            ),
            (
                Distribution::Normal { mean: 10 * second, stddev: second },
                (10_595_286_710, 16_280_202_823_187_884_509),
            ),
            (
                Distribution::Lognormal { median: second, sigma: 1.5 },
                (2_442_275_206, 17_757_915_978_845_817_183),
            ),
            (Distribution::Exponential { mean: second }, (1_099_228_901, 17_134_814_534_451_124_541)),
            (Distribution::Pareto { min: second, shape: 1.2 }, (2_499_333_470, 12_906_614_927_795_220_558)),
            (
                Distribution::Percentiles(vec![(50.0, second), (99.9, 9 * second)]),
                (3_675_304_863, 8_893_976_015_357_793_980),
            ),
        ];
        for (distribution, expected) in pinned {
            assert_eq!(draws(&distribution), expected, "{distribution:?}");
        }
    }

    #[test]
    fn draws_have_the_shape_that_the_theory_gives_them() {
        let share = |distribution: &Distribution, above: f64| {
            let mut stream = Key::new(6, Purpose::Latency).stream();
            let beyond = (0..100_000).filter(|_| distribution.sample(&mut stream) as f64 > above);
            beyond.count() as f64 / 100_000.0
        };
        let mean = 1_000_000;
        let (exponential, pareto) =
            (Distribution::Exponential { mean }, Distribution::Pareto { min: mean, shape: 2.0 });
        let normal = Distribution::Normal { mean: 10 * mean, stddev: mean };
        let lognormal = Distribution::Lognormal { median: mean, sigma: 0.5 };
        let of_mean = |times: f64| times * mean as f64;
        let cases = [
            (&exponential, of_mean(1.0), 0.367_879),
            (&exponential, of_mean(3.0), 0.049_787),
            (&pareto, of_mean(2.0), 0.25),
            (&pareto, of_mean(5.0), 0.04),
            (&normal, of_mean(9.0), 0.841_345),
            (&normal, of_mean(12.0), 0.022_750),
            (&lognormal, of_mean(1.0), 0.5),
            (&lognormal, of_mean(1.648_721), 0.158_655),
        ];
        for (distribution, above, expected) in cases {
            let got = share(distribution, above);
            // Four standard errors of a share of 100,000 draws.
            let tolerance = 4.0 * libm::sqrt(expected * (1.0 - expected) / 100_000.0);
            assert!(
                (got - expected).abs() < tolerance,
                "{distribution:?} above {above}: {got}, not {expected}"
            );
        }
    }
}
