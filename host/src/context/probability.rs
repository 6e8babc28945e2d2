//! Consistent probability sampling: what OpenTelemetry says about a trace in `tracestate`.
//!
//! Every participant compares the same 56 random bits of a trace with a threshold of its own, so that all of
//! them keep the same traces, or subsets of one another's. Rules are quoted by the pages of the OpenTelemetry
//! specification, "TraceState Handling" and "TraceState: Probability Sampling" (OTEP 235).

use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

use super::{TraceId, tracestate};

/// The member of `tracestate` that is OpenTelemetry's, and two of the keys in it.
const MEMBER: &str = "ot";
const THRESHOLD: &str = "th";
const RANDOMNESS: &str = "rv";

/// Bytes of the member's value ("TraceState Handling").
const MAX_LENGTH: usize = 256;

/// Hexadecimal digits of 56 bits.
const DIGITS: u32 = 14;

/// 2^56: how many values randomness and thresholds have.
const VALUES: u64 = 1 << (4 * DIGITS);

/// Significant digits of a threshold that is made of a probability: the specification's advice.
const PRECISION: u32 = 4;

/// A rejection threshold: a trace is kept if its randomness is no less. 56 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Threshold(u64);

impl Threshold {
    /// The smallest probability that there is.
    pub const LEAST: f64 = 1.0 / VALUES as f64;

    /// Keeps a trace with this probability, from [`Threshold::LEAST`] to 1, as exactly as four digits tell
    /// ("Converting floating-point probability to threshold value").
    pub fn of_probability(probability: f64) -> Self {
        let kept = (probability * VALUES as f64).round() as u64;
        let exact = VALUES - kept.clamp(1, VALUES);
        // A digit `f` at the front tells nothing of a small probability: one more is kept for each. The
        // exponent is that of a fraction from a half to one.
        let exponent = (probability.to_bits() >> 52 & 0x7ff) as u32;
        let leading = 1_022_u32.saturating_sub(exponent) / 4;
        let shift = 4 * DIGITS.saturating_sub(PRECISION + leading);
        let rounded = (exact + (1 << shift) / 2) >> shift << shift;
        Self(if rounded < VALUES { rounded } else { exact })
    }

    /// Reads 1 to 14 digits; those that are missing at the end are zeros.
    fn parse(text: &str) -> Option<Self> {
        let missing = DIGITS.checked_sub(u32::try_from(text.len()).ok()?)?;
        Some(Self(hexadecimal(text)? << (4 * missing)))
    }

    /// Whether a trace of this [`randomness`] is kept.
    pub const fn keeps(self, randomness: u64) -> bool {
        randomness >= self.0
    }
}

/// Without the zeros at its end.
impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:014x}", self.0);
        let short = digits.trim_end_matches('0');
        f.write_str(if short.is_empty() { "0" } else { short })
    }
}

/// The random bits of a trace: those that its `tracestate` names, else the last 56 of its id ("Randomness
/// Value (R)").
pub fn randomness(trace_id: TraceId, state: Option<&str>) -> u64 {
    let explicit = state.and_then(|state| Ot::of(state)?.randomness);
    explicit.unwrap_or((trace_id.0.get() % u128::from(VALUES)) as u64)
}

/// The threshold by which a trace was kept so far, as its `tracestate` says.
pub fn threshold(state: &str) -> Option<Threshold> {
    Ot::of(state)?.threshold
}

/// A `tracestate` that says this threshold, or none. All else stays in it; a changed member is the first
/// ("Mutating the tracestate Field"), and one of OpenTelemetry that cannot be read goes.
pub fn with_threshold(state: Option<Arc<str>>, threshold: Option<Threshold>) -> Option<Arc<str>> {
    match changed(state.as_deref().unwrap_or_default(), threshold) {
        Some(changed) => changed,
        None => state,
    }
}

/// A `tracestate` that says this threshold; none if it does already.
fn changed(state: &str, threshold: Option<Threshold>) -> Option<Option<Arc<str>>> {
    let member = tracestate::value(state, MEMBER);
    let ot = member.and_then(Ot::read);
    if ot.as_ref().is_some_and(|ot| ot.is_whole && ot.threshold == threshold)
        || member.is_none() && threshold.is_none()
    {
        return None;
    }
    let others = ot.iter().flat_map(|ot| &ot.others).map(|item| (*item).to_owned());
    let mut list: SmallVec<[String; 4]> = others.collect();
    list.extend(threshold.map(|threshold| format!("{THRESHOLD}:{threshold}")));
    let mut value = list.join(";");
    if value.len() > MAX_LENGTH {
        // "Setting values": what does not fit is not set.
        list.pop();
        value = list.join(";");
    }
    Some(tracestate::with_first(state, MEMBER, &value))
}

/// OpenTelemetry's member.
#[derive(Debug, Default)]
struct Ot<'a> {
    threshold: Option<Threshold>,
    randomness: Option<u64>,
    /// Whether its threshold and its randomness, where it has any, are what they should be.
    is_whole: bool,
    /// All but the threshold, and but a randomness that is none, as they are written.
    others: SmallVec<[&'a str; 4]>,
}

impl<'a> Ot<'a> {
    /// That of a `tracestate`, if it has one that can be read.
    fn of(state: &'a str) -> Option<Self> {
        tracestate::value(state, MEMBER).and_then(Self::read)
    }

    /// Reads a list of `key:value`. None if it is no such list, or has a key twice: then nothing of it is
    /// trusted. A threshold or randomness that is none counts as absent.
    fn read(list: &'a str) -> Option<Self> {
        let mut ot = Self { is_whole: true, ..Self::default() };
        let mut keys: SmallVec<[&str; 4]> = SmallVec::new();
        if list.len() > MAX_LENGTH {
            return None;
        }
        for item in list.split(';') {
            let (key, value) = item.split_once(':')?;
            if !is_key(key) || !value.bytes().all(is_of_value) || keys.contains(&key) {
                return None;
            }
            keys.push(key);
            match key {
                THRESHOLD => {
                    ot.threshold = Threshold::parse(value);
                    ot.is_whole &= ot.threshold.is_some();
                }
                RANDOMNESS => {
                    ot.randomness = hexadecimal(value).filter(|_| value.len() == DIGITS as usize);
                    ot.is_whole &= ot.randomness.is_some();
                    ot.others.extend(ot.randomness.map(|_| item));
                }
                _ => ot.others.push(item),
            }
        }
        Some(ot)
    }
}

fn is_key(key: &str) -> bool {
    let mut bytes = key.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

const fn is_of_value(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// Reads digits in lower case.
fn hexadecimal(digits: &str) -> Option<u64> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_number = !digits.is_empty() && digits.bytes().all(is_digit);
    u64::from_str_radix(digits, 16).ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU128;

    use proptest::prelude::*;

    use super::*;

    fn set(state: Option<&str>, threshold: Option<&str>) -> Option<String> {
        let threshold = threshold.map(|digits| Threshold::parse(digits).expect("a threshold"));
        with_threshold(state.map(Arc::from), threshold).map(|state| state.to_string())
    }

    #[test]
    fn probabilities_become_the_thresholds_of_the_specifications_table() {
        for (one_in, digits) in [
            (1.0, "0"),
            (2.0, "8"),
            (3.0, "aaab"),
            (4.0, "c"),
            (5.0, "cccd"),
            (8.0, "e"),
            (10.0, "e666"),
            (16.0, "f"),
            (100.0, "fd70a"),
            (1_000.0, "ffbe77"),
            (10_000.0, "fff9724"),
            (100_000.0, "ffff583a"),
            (1_000_000.0, "ffffef39"),
        ] {
            assert_eq!(Threshold::of_probability(1.0 / one_in).to_string(), digits, "1 in {one_in}");
        }
        assert_eq!(Threshold::of_probability(Threshold::LEAST).to_string(), "ffffffffffffff");
    }

    #[test]
    fn a_threshold_is_one_to_fourteen_digits_in_lower_case() {
        for (text, value) in [("0", 0), ("c", 0xc << 52), ("00000000000001", 1), ("fd70a4", 0xfd70a4 << 32)] {
            assert_eq!(Threshold::parse(text), Some(Threshold(value)), "{text}");
        }
        for text in ["", "C", "g", "+1", "000000000000000", "0x1"] {
            assert_eq!(Threshold::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn randomness_is_what_the_state_names_or_the_end_of_the_id() {
        let id = TraceId(NonZeroU128::new(0x0123_4567_89ab_cdef_fe6e_6d1a_7583_2a2f).expect("an id"));
        assert_eq!(randomness(id, None), 0x6e_6d1a_7583_2a2f);
        assert_eq!(randomness(id, Some("a=b,ot=th:c;rv:7479cfb506891d")), 0x74_79cf_b506_891d);
        for invalid in
            ["ot=rv:7479cfb506891", "ot=rv:7479CFB506891D", "ot=rv:7479cfb506891d;rv:00000000000000"]
        {
            assert_eq!(randomness(id, Some(invalid)), 0x6e_6d1a_7583_2a2f, "{invalid}");
        }
    }

    #[test]
    fn a_threshold_is_set_and_all_else_stays() {
        assert_eq!(set(None, Some("c")).as_deref(), Some("ot=th:c"));
        assert_eq!(set(Some("a=1,b=2"), Some("c")).as_deref(), Some("ot=th:c,a=1,b=2"));
        let state = "a=1,ot=p:8;th:8;rv:7479cfb506891d,b=2";
        let changed = "ot=p:8;rv:7479cfb506891d;th:c,a=1,b=2";
        assert_eq!(set(Some(state), Some("c")).as_deref(), Some(changed));
        assert_eq!(set(Some(state), Some("8")).as_deref(), Some(state), "nothing changes");
        assert_eq!(set(Some(state), None).as_deref(), Some("ot=p:8;rv:7479cfb506891d,a=1,b=2"));
        assert_eq!(set(Some("ot=th:8,a=1"), None).as_deref(), Some("a=1"));
        assert_eq!(set(Some("ot=th:8"), None), None);
        assert_eq!(set(Some("a=1"), None).as_deref(), Some("a=1"));
    }

    #[test]
    fn what_cannot_be_read_goes() {
        for invalid in ["ot=th", "ot=th:8;th:c", "ot=TH:8", "ot=th:8;;", "ot=1a:2;th:8"] {
            assert_eq!(set(Some(&format!("a=1,{invalid}")), None).as_deref(), Some("a=1"), "{invalid}");
            assert_eq!(threshold(invalid), None, "{invalid}");
        }
        assert_eq!(threshold("ot=th:8;x:"), Threshold::parse("8"), "a value may be empty");
    }

    #[test]
    fn a_member_that_grows_too_long_is_left_without_the_threshold() {
        let long = format!("ot=x:{}", "y".repeat(MAX_LENGTH - 2));
        assert_eq!(set(Some(&long), Some("c")).as_deref(), Some(long.as_str()));
    }

    proptest! {
        #[test]
        fn the_probability_of_a_threshold_is_the_one_it_was_made_of(exponent in 0.0..45.0_f64) {
            let probability = libm::exp2(-exponent);
            let threshold = Threshold::of_probability(probability);
            let kept = (VALUES - threshold.0) as f64 / VALUES as f64;
            prop_assert!((kept / probability - 1.0).abs() < 0.001, "{probability} became {kept}");
            prop_assert_eq!(Threshold::parse(&threshold.to_string()), Some(threshold));
        }

        #[test]
        fn a_lower_probability_keeps_a_subset(one in 0.0..40.0_f64, other in 0.0..40.0_f64) {
            let [fewer, more] = if one > other { [one, other] } else { [other, one] };
            let of = |exponent: f64| Threshold::of_probability(libm::exp2(-exponent));
            prop_assert!(of(fewer) >= of(more));
        }
    }
}
