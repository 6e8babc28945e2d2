//! Which partition a message goes to.

use crate::rng::Key;

/// Messages with the same key go to the same partition, which is that of Kafka's default partitioner; those
/// without one to any, by a draw of `draws`.
pub fn partition(key: Option<&[u8]>, draws: Key, partitions: u32) -> u32 {
    match key {
        Some(key) => (murmur2(key) & 0x7fff_ffff) % partitions,
        None => ((draws.unit() * f64::from(partitions)) as u32).min(partitions - 1),
    }
}

/// Austin Appleby's MurmurHash2, 32 bits, with the seed of Kafka's `Utils.murmur2`.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let (words, rest) = data.as_chunks::<4>();
    let mut hash = words.iter().fold(SEED ^ data.len() as u32, |hash, word| {
        let mut word = u32::from_le_bytes(*word).wrapping_mul(M);
        word ^= word >> 24;
        hash.wrapping_mul(M) ^ word.wrapping_mul(M)
    });
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    #[test]
    fn a_key_has_the_hash_that_kafka_gives_it() {
        // Of Kafka's UtilsTest.testMurmur2.
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn messages_without_a_key_are_spread_evenly() {
        let mut counts = [0; 6];
        for number in 0..6_000 {
            counts[partition(None, Key::new(1, Purpose::Message).with(number), 6) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_key_chooses_one_of_the_partitions_whatever_is_drawn() {
        let chosen = |number| partition(Some(b"order-7"), Key::new(1, Purpose::Message).with(number), 5);
        assert!(chosen(0) < 5);
        assert!((1..100).all(|number| chosen(number) == chosen(0)));
    }
}
