//! Variables, read by their type, with all that is wrong with them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::variables::is_declared;
use crate::error::Problem;

/// Reads variables and gathers problems and notes.
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
        /// Characters of a value that is quoted.
        const QUOTED: usize = 100;
        let quoted = match value.char_indices().nth(QUOTED) {
            Some((end, _)) => format!("{}…", &value[..end]),
            None => value.to_owned(),
        };
        self.problem(Problem::new(format!("{name} is `{quoted}`")).help(format!("it can be {accepted}")));
    }

    /// Refuses a value that was no UTF-8 in the environment.
    pub fn text_as_it_is(&mut self, name: &str) {
        if (self.get)(name).is_some_and(|value| value.contains(char::REPLACEMENT_CHARACTER)) {
            self.problem(Problem::new(format!("{name} is not UTF-8")).help("write it as UTF-8, or unset it"));
        }
    }

    /// A note, once.
    pub fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Whether nothing was refused so far.
    pub const fn is_well(&self) -> bool {
        self.problems.is_empty()
    }

    /// The variable's value, without the space around it; none when it is empty.
    pub fn text(&self, name: &str) -> Option<String> {
        debug_assert!(is_declared(name), "{name} is not among the variables");
        self.undeclared(name)
    }

    /// [`text`](Self::text) of a variable that has no effect.
    pub fn undeclared(&self, name: &str) -> Option<String> {
        (self.get)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The first of the variables that is set, and its value.
    pub fn first<'n>(&self, names: &'n [String; 2]) -> Option<(&'n str, String)> {
        names.iter().find_map(|name| Some((name.as_str(), self.text(name)?)))
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

    /// A length of time in milliseconds, `least` or more.
    pub fn milliseconds(&mut self, name: &str, least: u32) -> Option<Duration> {
        let text = self.text(name)?;
        let accepted = format!("milliseconds, a whole number from {least} to {}: 5000 for 5s", u32::MAX);
        let value: Option<u32> = self.parse(name, &text, |value| *value >= least, &accepted);
        value.map(|value| Duration::from_millis(value.into()))
    }

    /// The number of a TCP port; 0 is any.
    pub fn port(&mut self, name: &str) -> Option<u16> {
        let text = self.text(name)?;
        self.parse(name, &text, |_| true, &format!("a port from 0 to {}", u16::MAX))
    }

    /// One of these words, in any case.
    pub fn choice<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(name)?;
        let chosen = words.iter().find(|(word, _)| text.eq_ignore_ascii_case(word));
        if chosen.is_none() {
            let (last, others) = words.split_last()?;
            let others: Vec<_> = others.iter().map(|(word, _)| *word).collect();
            self.refuse(name, &text, &format!("{} or {}", others.join(", "), last.0));
        }
        chosen.map(|(_, value)| *value)
    }

    /// A number from 0 to 1.
    pub fn ratio(&mut self, name: &str) -> Option<f64> {
        let text = self.text(name)?;
        self.parse(name, &text, |ratio| (0.0..=1.0).contains(ratio), "a number from 0.0 to 1.0")
    }

    /// `key=value,key=value`, as in W3C Baggage: values are percent-decoded, and keys
    /// where they are `Encoded`. Of what is wrong only places and keys are told: a value
    /// may be a key to somebody's account.
    pub fn pairs(&mut self, name: &str, keys: Keys) -> Option<Vec<(String, String)>> {
        let text = self.text(name)?;
        let mut pairs = Vec::new();
        let mut wrong = Vec::new();
        let mut at = 1;
        for pair in text.split(',') {
            if !pair.trim().is_empty() {
                match read(pair, at, keys) {
                    Ok(pair) => pairs.push(pair),
                    Err(why) => wrong.push(why),
                }
            }
            at += pair.chars().count() + 1;
        }
        for why in &wrong {
            let help =
                "write key=value,key=value; percent-encode what is not ASCII, and `,`, `=` and `%` (`%25`)";
            self.problem(Problem::new(format!("{name} is not a list of key=value: {why}")).help(help));
        }
        wrong.is_empty().then_some(pairs)
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

/// How the keys of a list are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// As they are: names of headers.
    Plain,
    /// Percent-encoded, as values are.
    Encoded,
}

/// Reads one `key=value` that begins at character `at` of its list.
fn read(pair: &str, at: usize, keys: Keys) -> Result<(String, String), String> {
    let Some((key, value)) = pair.split_once('=') else {
        return Err(format!("there is no `=` in what begins at character {at}"));
    };
    let value_at = at + key.chars().count() + 1;
    let key = match keys {
        Keys::Plain => key.trim().to_owned(),
        Keys::Encoded => decode(key, at)?,
    };
    if key.is_empty() {
        return Err(format!("there is no key before the `=` at character {}", value_at - 1));
    }
    let value = decode(value, value_at).map_err(|why| format!("{why}, in the value of `{key}`"))?;
    Ok((key, value))
}

/// Percent-decodes a text that begins at character `at`, without the space around it.
fn decode(text: &str, at: usize) -> Result<String, String> {
    let is_bad = |place: &usize| {
        let digits = text.as_bytes().get(place + 1..place + 3);
        !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if let Some(place) = text.match_indices('%').map(|(place, _)| place).find(is_bad) {
        let at = at + text[..place].chars().count();
        return Err(format!("`%` without two hexadecimal digits at character {at}"));
    }
    let decoded = percent_decode_str(text.trim()).decode_utf8();
    let decoded = decoded.map_err(|_| format!("what begins at character {at} does not decode to UTF-8"))?;
    Ok(decoded.into_owned())
}
