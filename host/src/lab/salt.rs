//! What a salt decides: the hidden seeds, and which of equal services has which name.

use sha2::{Digest as _, Sha256};

/// A number that follows from a lab, a salt and what it is for.
fn number(lab: &str, salt: &str, purpose: &str, index: u64) -> u64 {
    let mut hash = Sha256::new();
    for part in [lab, salt, purpose] {
        // A length before each part: no two lists of parts are the same bytes.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.update(index.to_be_bytes());
    let digest = hash.finalize();
    let bytes = digest.first_chunk::<8>().expect("SHA-256 has 32 bytes");
    u64::from_be_bytes(*bytes)
}

/// Hidden seeds are short enough to be typed.
const SEEDS: u64 = 1_000_000_000;

/// The seeds of a check: the public ones, then hidden ones, `count` in all.
pub fn seeds(lab: &str, salt: &str, public: &[u64], count: usize) -> Vec<u64> {
    let mut seeds: Vec<u64> = public.iter().copied().take(count).collect();
    let mut drawn = (0..).map(|index| number(lab, salt, "seed", index) % SEEDS);
    while seeds.len() < count {
        let seed = drawn.next().expect("there is always one more");
        if !seeds.contains(&seed) && !public.contains(&seed) {
            seeds.push(seed);
        }
    }
    seeds
}

/// The seed of the run that is recorded for observation.
pub fn recorded(lab: &str, salt: &str) -> u64 {
    number(lab, salt, "record", 0) % SEEDS
}

/// Which of `count` hidden topologies it is.
pub fn drawn(lab: &str, salt: &str, count: usize) -> usize {
    usize::try_from(number(lab, salt, "topology", 0) % count.max(1) as u64).unwrap_or_default()
}

/// New names of services: each list is permuted in itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(Vec<(String, String)>);

impl Names {
    /// The permutation of a salt. Without a salt every name stays.
    pub fn new(lab: &str, salt: &str, lists: &[Vec<String>]) -> Self {
        if salt.is_empty() {
            return Self::default();
        }
        let pairs = lists.iter().enumerate().flat_map(|(list, names)| {
            let mut to = names.clone();
            // Fisher and Yates.
            for last in (1..to.len()).rev() {
                let index = (list as u64) << 32 | last as u64;
                to.swap(last, (number(lab, salt, "names", index) % (last as u64 + 1)) as usize);
            }
            names.iter().cloned().zip(to)
        });
        Self(pairs.filter(|(from, to)| from != to).collect())
    }

    /// The text with each name in place of the one that stands there. A part of a longer name stays.
    pub fn apply(&self, text: &str) -> String {
        if self.0.is_empty() {
            return text.to_owned();
        }
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let (word, behind) = rest.split_at(end);
            out.push_str(self.0.iter().find(|(from, _)| from == word).map_or(word, |(_, to)| to));
            let next = behind.find(is_part).unwrap_or(behind.len());
            out.push_str(&behind[..next]);
            rest = &behind[next..];
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn hidden_seeds_follow_from_the_lab_and_the_salt_and_none_stands_twice() {
        let seeds_of = |lab, salt| seeds(lab, salt, &[101, 102], 64);
        let all = seeds_of("retry-storm", "ada");
        assert_eq!(all, seeds_of("retry-storm", "ada"));
        assert_eq!(all[..2], [101, 102]);
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), 64);
        assert_ne!(all, seeds_of("retry-storm", "bob"));
        assert_ne!(all, seeds_of("long-tail", "ada"));
        assert_eq!(seeds("retry-storm", "ada", &[101, 102], 1), [101]);
    }

    #[test]
    fn a_salt_permutes_whole_names() {
        let lists = [list(&["auth", "catalog", "pricing"]), list(&["only"])];
        let text = "auth catalog.pricing auth-db only authx pricing/quotes";
        assert_eq!(Names::new("lab", "", &lists).apply(text), text);
        let shown: std::collections::BTreeSet<_> =
            (0..40).map(|salt| Names::new("lab", &salt.to_string(), &lists).apply(text)).collect();
        assert_eq!(shown.len(), 6, "{shown:?}");
        for text in shown {
            assert!(text.contains(" auth-db only authx ") && text.ends_with("/quotes"), "{text}");
            assert!(["auth ", "catalog ", "pricing "].iter().any(|name| text.starts_with(name)), "{text}");
        }
    }
}
