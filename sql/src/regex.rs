//! PostgreSQL's regular expressions: advanced ones, of which the leftmost match is the longest one, or the
//! shortest.
//!
//! A pattern becomes a program of states, all of which are followed at the same time: a text takes at most
//! the product of its characters and the states. Each visit of a state is counted, and paid by who asks.
//!
//! By PostgreSQL 17, section 9.7.3 "POSIX Regular Expressions". What needs more than states is refused: back
//! references and constraints that look around.

mod parse;
mod program;
mod search;
mod similar;

use crate::error::{Failure, Result, sqlstate};
use program::Program;
use search::Want;

pub(crate) use search::Search;
pub(crate) use similar::similar;

/// What a pattern is read with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub any_case: bool,
    /// All matches, for functions that take one.
    pub all: bool,
    /// `.` and `[^…]` take no newline.
    pub stops_at_newline: bool,
    /// `^` and `$` stand beside a newline as well.
    pub lines: bool,
    /// White space and comments count nothing.
    pub expanded: bool,
    /// The pattern is a text.
    pub literal: bool,
}

impl Options {
    /// The options of a function, as letters.
    pub(crate) fn of(letters: &str) -> Result<Self> {
        let mut options = Self::default();
        for letter in letters.chars() {
            options.set(letter)?;
        }
        Ok(options)
    }

    fn set(&mut self, letter: char) -> Result<()> {
        match letter {
            'i' => self.any_case = true,
            'c' => self.any_case = false,
            'g' => self.all = true,
            'n' | 'm' => (self.stops_at_newline, self.lines) = (true, true),
            's' => (self.stops_at_newline, self.lines) = (false, false),
            'p' => (self.stops_at_newline, self.lines) = (true, false),
            'w' => (self.stops_at_newline, self.lines) = (false, true),
            'x' => self.expanded = true,
            't' => self.expanded = false,
            'q' => self.literal = true,
            'e' => {}
            'b' => return Err(Failure::unsupported("a basic regular expression", "leave the option b out")),
            other => {
                let message = format!("invalid regular expression option: \"{other}\"");
                return Err(Failure::new(sqlstate::INVALID_PARAMETER, message).hint("use i, g, n, s, x or q"));
            }
        }
        Ok(())
    }
}

/// A place in a text: characters from its beginning, and behind the last one.
pub(crate) type Span = (usize, usize);

/// A pattern that was read.
#[derive(Debug)]
pub(crate) struct Regex {
    program: Program,
    /// Of the matches at one place the shortest one counts.
    is_short: bool,
    /// Parentheses that keep what they match.
    groups: usize,
}

/// Pays visits of states.
pub(crate) type Pay<'a> = &'a mut dyn FnMut(usize) -> Result<()>;

impl Regex {
    pub(crate) fn new(pattern: &str, options: Options) -> Result<Self> {
        let parsed = parse::parse(pattern, options)?;
        let is_short = parsed.node.is_greedy() == Some(false);
        let program = Program::of(&parsed.node, parsed.sets, parsed.options)?;
        Ok(Self { program, is_short, groups: parsed.groups })
    }

    pub(crate) fn groups(&self) -> usize {
        self.groups
    }

    /// How many states it has.
    pub(crate) fn states(&self) -> usize {
        self.program.states.len()
    }

    pub(crate) fn is_match(&self, text: &[char], pay: Pay<'_>) -> Result<bool> {
        Search::new(&self.program, text, Want::Any).find(0, pay).map(|found| found.is_some())
    }

    /// Finds the matches of a text, one after the other.
    pub(crate) fn search<'a>(&'a self, text: &'a [char]) -> Search<'a> {
        Search::new(&self.program, text, if self.is_short { Want::Shortest } else { Want::Longest })
    }

    /// What each pair of parentheses has of a match.
    pub(crate) fn captures(&self, text: &[char], whole: Span, pay: Pay<'_>) -> Result<Vec<Option<Span>>> {
        search::captures(&self.program, text, whole, self.groups, pay)
    }
}

fn invalid(what: &str, hint: &str) -> Failure {
    Failure::new(sqlstate::INVALID_REGEX, format!("invalid regular expression: {what}")).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str, options: &str, text: &str) -> Option<Vec<Option<String>>> {
        let regex = Regex::new(pattern, Options::of(options).expect("options")).expect(pattern);
        let letters: Vec<char> = text.chars().collect();
        let pay: Pay<'_> = &mut |_| Ok(());
        let whole = regex.search(&letters).find(0, pay).expect("no bound")?;
        let part = |(from, to): Span| letters[from..to].iter().collect::<String>();
        let mut parts = vec![Some(part(whole))];
        let groups = regex.captures(&letters, whole, pay).expect("no bound");
        parts.extend(groups.into_iter().map(|group| group.map(part)));
        Some(parts)
    }

    #[test]
    fn the_leftmost_match_is_the_longest_one_or_the_shortest() {
        // The examples of PostgreSQL's manual, and those in which Perl's match is another one.
        for (pattern, text, expected) in [
            ("Y*([0-9]{1,3})", "XY1234Z", &["Y123", "123"][..]),
            ("Y*?([0-9]{1,3})", "XY1234Z", &["Y1", "1"]),
            ("(?:(.*?)(\\d+)(.*)){1,1}", "abc01234xyz", &["abc01234xyz", "abc", "01234", "xyz"]),
            ("(.*)(\\d+)(.*)", "abc01234xyz", &["abc01234xyz", "abc0123", "4", "xyz"]),
            ("a|ab", "xab", &["ab"]),
            ("a*(ab)?", "aab", &["aab", "ab"]),
            ("(a|ab)(c|bcd)", "abcd", &["abcd", "a", "bcd"]),
            ("b*", "abb", &[""]),
            ("[[:digit:]]+\\.?", "v 10.2", &["10."]),
            ("\\mfoo\\M", "xfoo foo", &["foo"]),
            ("[[:<:]]a\\w*[[:>:]]", "ba ab", &["ab"]),
            ("(a*)*b", "aab", &["aab", "aa"]),
            ("[^\\d\\s]+", "12 äß3", &["äß"]),
            ("[]a-]+", "x]-a", &["]-a"]),
            ("^$", "", &[""]),
            ("x{2,3}?", "xxx", &["xx"]),
            ("x{0}y", "xy", &["y"]),
            ("(?i)STRASSE", "strasse", &["strasse"]),
            ("a(?#one (or)b+", "abb", &["abb"]),
            ("(?#of a line)^a(?#twice){2}(?#)", "aa", &["aa"]),
            ("a(?#without an end", "aa", &["a"]),
            ("(?i)(?#any case)A", "a", &["a"]),
            ("a\\{1}", "a{1}", &["a{1}"]),
            ("\\x41\\u00e4\\t", "Aä\t", &["Aä\t"]),
            ("(a|b)+", "ab", &["ab", "b"]),
            ("(|a)b", "ab", &["ab", "a"]),
        ] {
            let expected: Vec<Option<String>> =
                expected.iter().map(|part| Some((*part).to_owned())).collect();
            assert_eq!(found(pattern, "", text), Some(expected), "{pattern}");
        }
        for (pattern, options, text) in [
            ("^b", "", "a\nb"),
            ("a.b", "n", "a\nb"),
            ("[^x]b", "n", "\nb"),
            ("\\yb", "", "ab"),
            ("A", "", "a"),
            ("a.b", "q", "axb"),
        ] {
            assert_eq!(found(pattern, options, text), None, "{pattern} {options}");
        }
        for (pattern, options, text) in [
            ("^b$", "n", "a\nb\nc"),
            ("Ä", "i", "ä"),
            ("[A-C]", "i", "b"),
            ("a b # c", "x", "ab"),
            ("a.b", "", "a\nb"),
            ("a.b", "q", "a.b"),
        ] {
            assert!(found(pattern, options, text).is_some(), "{pattern} {options}");
        }
    }

    #[test]
    fn a_pattern_that_is_none_is_refused_with_a_name() {
        for (pattern, sqlstate) in [
            ("*a", "2201B"),
            ("a**", "2201B"),
            ("(a", "2201B"),
            ("a)", "2201B"),
            ("[a", "2201B"),
            ("[b-a]", "2201B"),
            ("[[:none:]]", "2201B"),
            ("a{2,1}", "2201B"),
            ("a{256}", "2201B"),
            ("a{1", "2201B"),
            ("^*", "2201B"),
            ("a\\", "2201B"),
            ("((a{1,255}){1,255}){1,255}", "2201B"),
            ("(a)\\1", "0A000"),
            ("(?=a)", "0A000"),
            ("(?<!a)b", "0A000"),
            ("a(?i)b", "2201B"),
            ("a(?<b>c)", "2201B"),
            ("a(?", "2201B"),
            ("(?#b)*", "2201B"),
        ] {
            let failure = Regex::new(pattern, Options::default()).expect_err(pattern);
            assert_eq!(failure.sqlstate, sqlstate, "{pattern}: {failure}");
        }
        assert_eq!(Options::of("z").expect_err("no such option").sqlstate, "22023");
    }

    #[test]
    fn each_match_is_found_as_if_it_were_the_first_one() {
        // The first search has seen all places up to the end, where there is no `b`.
        let text: Vec<char> = "aaxabaaaba".chars().collect();
        for pattern in ["a*b|a", "a+?|x", "a|ab|aba", "", "\\ma*", "a$", "(?i)A{2}"] {
            let regex = Regex::new(pattern, Options::default()).expect(pattern);
            let mut search = regex.search(&text);
            for from in [0, 1, 3, 2, 5, 9, 0, 10] {
                let known = search.find(from, &mut |_| Ok(())).expect("no bound");
                let new = regex.search(&text).find(from, &mut |_| Ok(())).expect("no bound");
                assert_eq!(known, new, "{pattern} from {from}");
            }
        }
    }

    #[test]
    fn matching_takes_at_most_the_product_of_the_text_and_the_states() {
        let text: Vec<char> = "a".repeat(2_000).chars().collect();
        for pattern in ["(a*)*(a*)*(a*)*b", "(a|a)*b", "(a?){60}a{60}b", "(((a*)*)*)*c"] {
            let regex = Regex::new(pattern, Options::default()).expect(pattern);
            let mut visits = 0;
            let is_match = regex.is_match(&text, &mut |more| {
                visits += more;
                Ok(())
            });
            assert!(!is_match.expect("no bound"), "{pattern}");
            assert!(visits <= (text.len() + 1) * (2 * regex.states() + 2), "{pattern}: {visits}");
        }
    }
}
