//! What an answer names, in the ways in which people write it: a service, a replica, an edge, the id of a
//! trace, a line of a log.

use std::collections::BTreeSet;

use crate::report::words::counted;

use super::manifest::{Fact, Of, Truth};

/// Digits of the id of a trace that are enough. A list of traces has twelve where the page is narrow.
pub const DIGITS_AT_LEAST: usize = 8;

/// Digits of a whole id.
pub const DIGITS: usize = 32;

/// What a right text is, which says what else may stand for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Service,
    /// The id of a trace.
    Trace,
    /// A caller and a callee: `a -> b`.
    Link,
    Other,
}

/// Callers and callees.
type Edges = BTreeSet<(String, String)>;

/// What a question asks for, in a system of these services.
pub fn sort(truth: &Truth, services: &BTreeSet<&str>) -> Sort {
    match truth {
        Truth::Fault(Fact::Service, _) | Truth::Slowest(Of::Service) => Sort::Service,
        Truth::Fault(Fact::Trace, _) | Truth::Slowest(Of::Id) => Sort::Trace,
        Truth::Fault(Fact::Link, _) => Sort::Link,
        Truth::Is(text) if services.contains(text.as_str()) => Sort::Service,
        _ => Sort::Other,
    }
}

/// Whether a text says the same as the right one.
pub fn is_same(text: &str, right: &str, sort: Sort) -> bool {
    match sort {
        _ if text == right => true,
        Sort::Service => false,
        Sort::Link => ends(text).is_some_and(|of| ends(right) == Some(of)),
        Sort::Trace => text.len() >= DIGITS_AT_LEAST && right.starts_with(&text.to_ascii_lowercase()),
        Sort::Other => is_line(text, right),
    }
}

/// Whether this is the right line as a drawing has it: behind its mark, and before its attributes or the
/// character that stands for them.
fn is_line(text: &str, right: &str) -> bool {
    let Some(rest) = text.trim_start_matches(['•', ' ']).strip_prefix(right) else { return false };
    let is_attribute = |word: &str| word.contains('=') || word == "…" || word == "...";
    (rest.is_empty() || rest.starts_with(' ')) && rest.split_whitespace().next().is_none_or(is_attribute)
}

/// The caller and the callee of `a -> b`.
pub fn ends(text: &str) -> Option<(&str, &str)> {
    text.split_once("->").map(|(from, to)| (from.trim(), to.trim()))
}

/// How many edges are right, without saying which.
pub fn compared(edges: &Edges, right: &Edges) -> String {
    let (all, good) = (edges.len(), edges.intersection(right).count());
    let share = if good == all { "all of them right".to_owned() } else { format!("{good} of them right") };
    let missing = match right.len() - good {
        0 => "none is missing".to_owned(),
        1 => "1 is missing".to_owned(),
        missing => format!("{missing} are missing"),
    };
    format!("{}, {share}; {missing}", counted(all as u64, "edge"))
}

/// The number of a replica: `2`, or `search-2`.
pub fn replica(text: &str) -> Option<f64> {
    text.trim().rsplit('-').next()?.parse::<u32>().ok().map(f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_have_its_mark_and_its_attributes() {
        let same = |text: &str| is_same(text, "file read", Sort::Other);
        assert!(
            ["file read", "• file read", "file read …", "file read volume.name=a b"]
                .map(same)
                .iter()
                .all(|is| *is)
        );
        assert!(!["file", "file reads", "file read again", "a file read"].map(same).iter().any(|is| *is));
    }

    #[test]
    fn the_first_digits_of_an_id_are_enough() {
        let id = "8ed5a384e68111a3e34ded174f94b503";
        let same = |text: &str| is_same(text, id, Sort::Trace);
        assert!(same(id) && same("8ed5a384e681") && same("8ED5A384"));
        assert!(!same("8ed5a38") && !same("8ed5a385e681"));
    }

    #[test]
    fn a_call_needs_no_blanks() {
        assert!(is_same("a->b", "a -> b", Sort::Link) && !is_same("b -> a", "a -> b", Sort::Link));
    }

    #[test]
    fn edges_are_counted_and_not_named() {
        let edges = |ends: &[(&str, &str)]| -> Edges {
            ends.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
        };
        let right = edges(&[("a", "b"), ("b", "c"), ("c", "d")]);
        let said = |ends| compared(&edges(ends), &right);
        assert_eq!(said(&[("a", "b"), ("b", "c")]), "2 edges, all of them right; 1 is missing");
        assert_eq!(said(&[("a", "c")]), "1 edge, 0 of them right; 3 are missing");
        let more = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")];
        assert_eq!(said(&more), "4 edges, 3 of them right; none is missing");
    }

    #[test]
    fn a_replica_is_a_number_or_ends_with_it() {
        assert_eq!([replica("2"), replica("search-2"), replica("search")], [Some(2.0), Some(2.0), None]);
    }
}
