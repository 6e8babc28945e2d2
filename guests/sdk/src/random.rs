//! Randomness, which the simulator makes from its seed: the same run draws the same numbers.

use std::ops::Range;

/// Fills a buffer with random bytes.
pub fn fill(buffer: &mut [u8]) {
    // Whole words, so that what is drawn does not depend on where in memory the buffer lies.
    for chunk in buffer.chunks_mut(8) {
        chunk.copy_from_slice(&u64().to_le_bytes()[..chunk.len()]);
    }
}

/// A number from the whole range.
pub fn u64() -> u64 {
    getrandom::u64().expect("the simulator has randomness for every guest")
}

/// A number from 0 to below 1.
pub fn unit() -> f64 {
    // A double holds 53 bits exactly.
    (u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// A number from the range, each as likely as the others.
pub fn uniform(range: Range<f64>) -> f64 {
    range.start + (range.end - range.start) * unit()
}

/// True with this probability. Nothing is drawn if it is 0 or less, or 1 or more, so that a rule that never applies
/// leaves the numbers of others as they are.
pub fn chance(probability: f64) -> bool {
    probability >= 1.0 || (probability > 0.0 && unit() < probability)
}

/// A UUID of version 4, as text.
pub fn uuid_v4() -> String {
    format_uuid(u64(), u64())
}

fn format_uuid(high: u64, low: u64) -> String {
    let high = high & 0xffff_ffff_ffff_0fff | 0x4000;
    let low = low & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000;
    let (first, second, third) = (high >> 32, high >> 16 & 0xffff, high & 0xffff);
    format!("{first:08x}-{second:04x}-{third:04x}-{:04x}-{:012x}", low >> 48, low & 0xffff_ffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_its_version_and_variant() {
        assert_eq!(format_uuid(0, 0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(format_uuid(u64::MAX, u64::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(format_uuid(0x0123_4567_89ab_cdef, 0), "01234567-89ab-4def-8000-000000000000");
    }

    #[test]
    fn numbers_stay_in_their_range() {
        for _ in 0..1000 {
            assert!((2.0..3.0).contains(&uniform(2.0..3.0)));
        }
        assert!(chance(1.0) && !chance(0.0) && !chance(f64::NAN));
    }

    #[test]
    fn a_buffer_of_any_length_is_filled() {
        let mut buffer = [0; 61];
        fill(&mut buffer);
        assert!(buffer[56..].iter().any(|byte| *byte != 0));
    }
}
