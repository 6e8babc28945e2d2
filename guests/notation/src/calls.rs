//! The language of `calls`: which services are called, in which order.

use std::fmt;

use crate::{parse_share, show_share};

/// Steps, one after the other; the calls of a step run at the same time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calls(pub Vec<Vec<OneCall>>);

/// `25% 3x POST stock/items/{id}?`
#[derive(Clone, Debug, PartialEq)]
pub struct OneCall {
    /// The share of requests that make the call, `0.0..=1.0`.
    pub share: f64,
    /// How often it is made then.
    pub times: u32,
    /// `3||`: all at the same time.
    pub is_parallel: bool,
    /// Upper-case.
    pub method: String,
    /// The callee's name.
    pub service: String,
    /// From its `/` on; names in braces stand for values, see [`parts`].
    pub path: String,
    /// Its failure does no harm.
    pub is_optional: bool,
}

/// A part of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// As it is sent.
    Text(&'a str),
    /// The name of a value, without its braces.
    Name(&'a str),
}

/// The parts of a path that [`Calls::parse`] has accepted.
pub fn parts(path: &str) -> impl Iterator<Item = Part<'_>> {
    let parts = path.split(['{', '}']).enumerate();
    parts.map(|(at, part)| if at % 2 == 0 { Part::Text(part) } else { Part::Name(part) })
}

impl Calls {
    /// Reads `cart, pricing & POST stock/reserve, 10% similar?`.
    ///
    /// # Errors
    /// Says of each call what is wrong.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let (mut steps, mut problems) = (Vec::new(), Vec::new());
        for step in text.split(',') {
            let mut calls = Vec::new();
            for call in step.split('&') {
                match OneCall::parse(call.trim()) {
                    Ok(call) => calls.push(call),
                    Err(problem) => problems.push(format!("the call `{}`: {problem}", call.trim())),
                }
            }
            steps.push(calls);
        }
        if problems.is_empty() { Ok(Self(steps)) } else { Err(problems) }
    }
}

impl OneCall {
    fn parse(text: &str) -> Result<Self, String> {
        let (text, is_optional) = match text.strip_suffix('?') {
            Some(text) => (text, true),
            None => (text, false),
        };
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let target = words.pop().ok_or("it names no service; write calls = \"stock, pricing\"")?;
        let (service, path) = target.split_at(target.find('/').unwrap_or(target.len()));
        let path = if path.is_empty() { "/" } else { path };
        if service.is_empty() || service.contains(['%', '{', '}', ':', '?']) {
            return Err(format!(
                "`{service}` is no name of a service; write calls = \"stock\" or \"stock/items\""
            ));
        }
        check_braces(path)?;
        let mut call = Self {
            share: 1.0,
            times: 1,
            is_parallel: false,
            method: "GET".to_owned(),
            service: service.to_owned(),
            path: path.to_owned(),
            is_optional,
        };
        // Each kind of word may stand once, in this order.
        let mut allowed = 0;
        for word in words {
            let kind = call.take(word)?;
            if kind < allowed {
                return Err("write it as `25% 3x POST stock/items`".to_owned());
            }
            allowed = kind + 1;
        }
        Ok(call)
    }

    /// Reads a word before the service; its rank in the order of such words.
    fn take(&mut self, word: &str) -> Result<u8, String> {
        if word.ends_with('%') || word.contains('.') {
            self.share = parse_share(word).map_err(|problem| format!("`{word}`: {problem}"))?;
            return Ok(0);
        }
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            let in_parallel = word.strip_suffix("||");
            self.is_parallel = in_parallel.is_some();
            let times = in_parallel.or_else(|| word.strip_suffix('x')).and_then(|times| times.parse().ok());
            self.times = times.filter(|times| (1..=1000).contains(times)).ok_or_else(|| {
                format!(
                    "`{word}` is no number of calls; write 1x to 1000x, or 1|| to 1000|| for parallel calls"
                )
            })?;
            return Ok(1);
        }
        if word.bytes().all(|byte| byte.is_ascii_uppercase()) {
            word.clone_into(&mut self.method);
            return Ok(2);
        }
        Err(format!("`{word}` is neither a share (25%), nor a number (3x, 3||), nor a method (POST)"))
    }
}

/// As it is written, with its method: `25% 3x GET stock/items/{id}?`.
impl fmt::Display for OneCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { share, times, is_parallel, method, service, path, is_optional } = self;
        if *share < 1.0 {
            // As it was written.
            write!(f, "{} ", show_share(*share))?;
        }
        if *times > 1 {
            write!(f, "{times}{} ", if *is_parallel { "||" } else { "x" })?;
        }
        write!(f, "{method} {service}{path}{}", if *is_optional { "?" } else { "" })
    }
}

/// Refuses braces that do not come in pairs around a name.
fn check_braces(path: &str) -> Result<(), String> {
    let braces: String = path.chars().filter(|c| "{}".contains(*c)).collect();
    if !braces.replace("{}", "").is_empty() {
        return Err(format!("`{path}` has a brace without its pair"));
    }
    let mut names = path.split(['{', '}']).skip(1).step_by(2);
    match names.find(|name| name.is_empty() || name.contains('/')) {
        Some(_) => Err(format!("`{path}` has braces without a name; write `/items/{{id}}`")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(service: &str) -> OneCall {
        OneCall {
            share: 1.0,
            times: 1,
            is_parallel: false,
            method: "GET".to_owned(),
            service: service.to_owned(),
            path: "/".to_owned(),
            is_optional: false,
        }
    }

    #[test]
    fn calls_are_steps_of_calls_at_the_same_time() {
        let calls =
            Calls::parse("cart, pricing & POST stock/items/{id}, 2.5% 3x similar?, 0.25 tips").unwrap();
        let stock = OneCall { method: "POST".to_owned(), path: "/items/{id}".to_owned(), ..one("stock") };
        let similar = OneCall { share: 0.025, times: 3, is_optional: true, ..one("similar") };
        let tips = OneCall { share: 0.25, ..one("tips") };
        let expected = vec![vec![one("cart")], vec![one("pricing"), stock], vec![similar], vec![tips]];
        assert_eq!(calls, Calls(expected));
        let shown = calls.0.iter().flatten().map(|call| call.to_string());
        let expected =
            ["GET cart/", "GET pricing/", "POST stock/items/{id}", "2.5% 3x GET similar/?", "25% GET tips/"];
        assert_eq!(shown.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_number_of_calls_is_in_sequence_or_in_parallel() {
        let parsed = Calls::parse("10|| b, 50% 2|| POST b?").unwrap();
        let ten = OneCall { times: 10, is_parallel: true, ..one("b") };
        let two =
            OneCall { share: 0.5, times: 2, method: "POST".to_owned(), is_optional: true, ..ten.clone() };
        assert_eq!(parsed, Calls(vec![vec![ten], vec![two]]));
    }

    #[test]
    fn every_call_that_is_none_is_named() {
        let expected = [
            ("", "names no service"),
            ("a,,b", "names no service"),
            ("a & ", "names no service"),
            ("101% a", "`101%`: that is no share"),
            ("x% a", "`x%`: that is no share"),
            ("1.5 a", "`1.5`: a share is at most 1"),
            ("0x a", "`0x` is no number of calls"),
            ("3 a", "`3` is no number of calls"),
            ("post a", "`post` is neither"),
            ("POST 3x a", "write it as"),
            ("3x 3x a", "write it as"),
            ("3x 3|| a", "write it as"),
            ("0|| a", "`0||` is no number of calls"),
            ("3| a", "`3|` is no number of calls"),
            ("|| a", "`||` is neither"),
            ("50%", "`50%` is no name of a service"),
            ("/items", "is no name of a service"),
            ("http://a/b", "is no name of a service"),
            ("a/{", "without its pair"),
            ("a/{b/c}", "without a name"),
            ("a/}{", "without its pair"),
            ("a/{}", "braces without a name"),
        ];
        for (text, part) in expected {
            let problems = Calls::parse(text).expect_err(text);
            assert!(problems.iter().any(|problem| problem.contains(part)), "{text}: {problems:?}");
        }
        assert_eq!(Calls::parse("3 a, post b & c").expect_err("two of three").len(), 2);
    }

    #[test]
    fn a_path_has_parts_of_text_and_names_of_values() {
        let found: Vec<_> = parts("/items/{id}/parts").collect();
        assert_eq!(found, [Part::Text("/items/"), Part::Name("id"), Part::Text("/parts")]);
    }
}
