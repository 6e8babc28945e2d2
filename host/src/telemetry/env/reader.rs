//! Variables, read by their type, with all that is wrong with them.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use crate::error::Problem;

/// Reads variables and gathers what is to be said about them.
pub struct Reader<'a> {
    get: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<Problem>,
    notes: Vec<String>,
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("problems", &self.problems).finish_non_exhaustive()
    }
}

impl<'a> Reader<'a> {
    pub fn new(get: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { get, problems: Vec::new(), notes: Vec::new() }
    }

    /// The notes.
    ///
    /// # Errors
    /// The problems, if there are any, each once.
    pub fn finish(self) -> Result<Vec<String>, Vec<Problem>> {
        if self.problems.is_empty() { Ok(self.notes) } else { Err(self.problems) }
    }

    pub fn problem(&mut self, problem: Problem) {
        // A variable that two signals share is read for each.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// The value of a variable is not accepted; this is.
    pub fn refuse(&mut self, name: &str, value: &str, accepted: &str) {
        self.problem(Problem::new(format!("{name} is `{value}`")).help(format!("it can be {accepted}")));
    }

    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// The variable's value, without the space around it; none when it is empty.
    pub fn text(&self, name: &str) -> Option<String> {
        (self.get)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The first of the variables that is set, and its value.
    pub fn first(&self, names: [&'static str; 2]) -> Option<(&'static str, String)> {
        names.into_iter().find_map(|name| Some((name, self.text(name)?)))
    }

    /// `true` or `false`, in any case.
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        let text = self.text(name)?;
        match text.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.refuse(name, &text, "true or false");
                None
            }
        }
    }

    /// A whole number, `least` or more.
    pub fn number(&mut self, name: &str, least: u32) -> Option<u32> {
        let text = self.text(name)?;
        self.parse(
            name,
            &text,
            |value| *value >= least,
            &format!("a whole number from {least} to {}", u32::MAX),
        )
    }

    /// A number from 0 to 1.
    pub fn ratio(&mut self, name: &str) -> Option<f64> {
        let text = self.text(name)?;
        self.parse(name, &text, |ratio| (0.0..=1.0).contains(ratio), "a number from 0.0 to 1.0")
    }

    /// `key=value,key=value`, as in W3C Baggage: values are percent-decoded.
    pub fn pairs(&mut self, name: &str) -> Option<Vec<(String, String)>> {
        let text = self.text(name)?;
        let pairs: Option<Vec<_>> =
            text.split(',').map(str::trim).filter(|pair| !pair.is_empty()).map(pair).collect();
        if pairs.is_none() {
            // Not the value: it may hold a key to somebody's account.
            let problem = format!("{name} is not a list of key=value");
            let help = "write key=value,key=value; percent-encode what is not ASCII, and `,` and `%`";
            self.problem(Problem::new(problem).help(help));
        }
        pairs
    }

    fn parse<T: FromStr>(
        &mut self,
        name: &str,
        text: &str,
        accept: impl Fn(&T) -> bool,
        accepted: &str,
    ) -> Option<T> {
        let value = text.parse().ok().filter(accept);
        if value.is_none() {
            self.refuse(name, text, accepted);
        }
        value
    }
}

fn pair(pair: &str) -> Option<(String, String)> {
    let (key, value) = pair.split_once('=')?;
    let key = key.trim();
    let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
    (!key.is_empty()).then(|| (key.to_owned(), value.into_owned()))
}
