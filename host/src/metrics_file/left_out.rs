//! Data points that are in no row, and why.

use crate::report::words::{count, counted};

use super::bounds::{MAX_BUCKETS, MAX_POINT_BUCKETS, MAX_ROWS, MAX_SERIES};

/// Why a data point is in no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its series, its row or its buckets are beyond what is looked at.
    Beyond,
    /// It has more than [`MAX_POINT_BUCKETS`].
    Buckets,
    NotFinite,
    /// A counter's value is below 0.
    Negative,
    /// Bounds and counts of a histogram do not fit together.
    Unfit,
    Summary,
    /// Its series has points of the other temporality too.
    Mixed,
    /// A delta point that was in the file before.
    Twice,
    /// A cumulative point with less than a later one, which came first.
    Behind,
}

/// In the order in which they are said.
const ALL: [Why; 9] = [
    Why::Beyond,
    Why::Buckets,
    Why::NotFinite,
    Why::Negative,
    Why::Unfit,
    Why::Summary,
    Why::Mixed,
    Why::Twice,
    Why::Behind,
];

/// How many, by why.
#[derive(Debug, Default)]
pub struct LeftOut([u64; ALL.len()]);

impl LeftOut {
    pub fn add(&mut self, why: Why) {
        self.add_many(why, 1);
    }

    pub fn add_many(&mut self, why: Why, number: u64) {
        self.0[why as usize] += number;
    }

    /// A sentence for each reason that there was.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        let there = ALL.iter().filter(|why| self.0[**why as usize] > 0);
        there.map(|why| why.said(&counted(self.0[*why as usize], "data point")))
    }
}

impl Why {
    fn said(self, points: &str) -> String {
        let number = |bound: usize| count(bound as u64);
        match self {
            Self::Beyond => format!(
                "{points} left out: at most {} series, {} rows and {} buckets are looked at",
                number(MAX_SERIES),
                number(MAX_ROWS),
                number(MAX_BUCKETS)
            ),
            Self::Buckets => {
                format!("{points} left out: a histogram has more than {} buckets", number(MAX_POINT_BUCKETS))
            }
            Self::NotFinite => format!("{points} left out: the value is not a finite number"),
            Self::Negative => format!("{points} left out: the value of a counter is below 0"),
            Self::Unfit => {
                format!(
                    "{points} left out: the bounds of a histogram do not ascend, or do not fit its counts"
                )
            }
            Self::Summary => {
                format!("{points} of summaries left out: quantiles of several series cannot be added up")
            }
            Self::Mixed => format!(
                "{points} left out: their series have delta and cumulative points, and began with the others"
            ),
            Self::Twice => format!("{points} left out: in the file before"),
            Self::Behind => {
                format!("{points} left out: a later one of the series, with more, comes before them")
            }
        }
    }
}
