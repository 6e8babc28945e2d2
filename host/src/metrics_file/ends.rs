//! What is known of the least and the greatest value of a histogram.
//!
//! A point tells those of all its values. Of the values that have come since an earlier point it tells a
//! limit, and a value where the limit has moved: the limit of before may be of a value of before.

use super::line::Summary;

/// The least and the greatest of some values, each as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ends {
    least: End,
    most: End,
}

/// No value is beyond it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct End {
    /// Infinite where nothing is known.
    at: f64,
    /// One of the values is there.
    is_met: bool,
}

/// Of no values.
impl Default for Ends {
    fn default() -> Self {
        let end = |at| End { at, is_met: true };
        Self { least: end(f64::INFINITY), most: end(f64::NEG_INFINITY) }
    }
}

impl Ends {
    /// Of all values of a point.
    pub fn of(summary: &Summary) -> Self {
        if summary.count() == 0 {
            return Self::default();
        }
        let end = |known: Option<f64>, none| End { at: known.unwrap_or(none), is_met: known.is_some() };
        let (least, most) = summary.range();
        Self { least: end(least, f64::NEG_INFINITY), most: end(most, f64::INFINITY) }
    }

    /// Of the values that have come since an earlier point of the series.
    pub fn since(&self, earlier: &Self) -> Self {
        let moved = |end: End, is_beyond| End { is_met: end.is_met && is_beyond, ..end };
        Self {
            least: moved(self.least, self.least.at < earlier.least.at),
            most: moved(self.most, self.most.at > earlier.most.at),
        }
    }

    /// Takes further values.
    pub fn add(&mut self, other: &Self) {
        let outer = |one: End, other: End, is_beyond| match one.at == other.at {
            true => End { is_met: one.is_met || other.is_met, ..one },
            false if is_beyond => other,
            false => one,
        };
        self.least = outer(self.least, other.least, other.least.at < self.least.at);
        self.most = outer(self.most, other.most, other.most.at > self.most.at);
    }

    /// Between these all values are; infinite where nothing is known.
    pub const fn limits(&self) -> (f64, f64) {
        (self.least.at, self.most.at)
    }

    /// The least and the greatest value, where they are known.
    pub fn known(&self) -> (Option<f64>, Option<f64>) {
        let known = |end: End| Some(end.at).filter(|at| end.is_met && at.is_finite());
        (known(self.least), known(self.most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(text: &str) -> Ends {
        Ends::of(&serde_json::from_str(text).expect("a summary"))
    }

    #[test]
    fn a_limit_is_a_value_where_it_has_moved() {
        let before = ends(r#"{"count":5,"min":2.0,"max":9.0}"#);
        assert_eq!(before.known(), (Some(2.0), Some(9.0)));
        let same = ends(r#"{"count":8,"min":2.0,"max":9.0}"#).since(&before);
        assert_eq!((same.limits(), same.known()), ((2.0, 9.0), (None, None)));
        let above = ends(r#"{"count":8,"min":2.0,"max":10.0}"#).since(&before);
        assert_eq!(above.known(), (None, Some(10.0)));
        let first = ends(r#"{"count":1,"min":3.0,"max":3.0}"#).since(&ends(r#"{"count":0}"#));
        assert_eq!(first.known(), (Some(3.0), Some(3.0)));
        let untold = ends(r#"{"count":8,"min":1.0,"max":10.0}"#).since(&ends(r#"{"count":5}"#));
        assert_eq!((untold.limits(), untold.known()), ((1.0, 10.0), (None, None)));
    }

    #[test]
    fn of_several_series_the_outer_limits_hold_and_are_values_if_one_of_them_is() {
        let mut all = Ends::default();
        assert_eq!(all.known(), (None, None));
        all.add(&ends(r#"{"count":1,"min":3.0,"max":5.0}"#));
        let limit = ends(r#"{"count":9,"min":3.0,"max":8.0}"#);
        all.add(&limit.since(&limit));
        assert_eq!((all.limits(), all.known()), ((3.0, 8.0), (Some(3.0), None)));
        all.add(&ends(r#"{"count":1,"min":4.0,"max":8.0}"#));
        assert_eq!(all.known(), (Some(3.0), Some(8.0)));
        all.add(&ends(r#"{"count":1,"min":1.0}"#));
        assert_eq!((all.limits(), all.known()), ((1.0, f64::INFINITY), (Some(1.0), None)));
        // Of ends that are the wrong way round nothing is known.
        assert_eq!(ends(r#"{"count":1,"min":9.0,"max":1.0}"#).known(), (None, None));
        assert_eq!(ends(r#"{"count":1,"min":"NaN","max":"NaN"}"#).known(), (None, None));
    }
}
