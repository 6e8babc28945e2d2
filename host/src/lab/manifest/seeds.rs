//! The public seeds of a lab.

use crate::error::Problem;
use crate::topology::key::{Key, Required};
use crate::topology::reader::Table;
use crate::topology::shapes::{List, Whole};

/// Seeds that a check may use.
pub const SEEDS_AT_MOST: usize = 64;

pub static SEEDS: Key<List<Whole>, Required> = Key {
    name: "seeds",
    of: List { words: "a list of whole numbers", of: Whole(0, u64::MAX) },
    absent: Required("name the public seeds: seeds = [101, 102]"),
    says: "the public seeds. The others of a check follow from the id and the salt",
};

/// The public seeds, each once.
pub fn read(table: &Table<'_>) -> Option<Vec<u64>> {
    let (seeds, value) = (SEEDS.read(table)?, SEEDS.get(table)?);
    if !(1..=SEEDS_AT_MOST).contains(&seeds.len()) {
        let problem = Problem::new(format!("the lab has {} public seeds", seeds.len()));
        value.refuse::<()>(problem.help(format!("name 1 to {SEEDS_AT_MOST}, such as seeds = [101, 102]")));
    }
    for (at, item) in value.list().unwrap_or_default().iter().enumerate() {
        if let Some(seed) = seeds.get(at).filter(|seed| seeds[..at].contains(seed)) {
            let problem = Problem::new(format!("the seed {seed} is there twice")).label("named before");
            item.refuse::<()>(problem.help("name each seed once: a run is the same each time"));
        }
    }
    Some(seeds)
}
