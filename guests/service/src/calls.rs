//! The language of `calls`: which services are called, in which order.

use simhost_sdk::extract::Params;
use simhost_sdk::prelude::*;
use simhost_sdk::{Call, Pending};

/// Parts of a path in braces that the request does not have are numbers from 1 to this.
const NUMBERS: f64 = 1000.0;

/// Steps, one after the other; the calls of a step run at the same time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calls(Vec<Vec<OneCall>>);

/// `25% 3x POST stock/items/{id}?`
#[derive(Clone, Debug, PartialEq)]
struct OneCall {
    chance: f64,
    times: u32,
    /// `3||`: all at the same time.
    is_parallel: bool,
    method: String,
    service: String,
    path: String,
    /// Its failure does no harm.
    is_optional: bool,
}

impl Calls {
    /// Reads `cart, pricing & POST stock/reserve, 10% similar?`, or says of each call what is wrong.
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

    /// Makes the calls. `params` are the parameters of the request's own path.
    pub fn make(&self, params: &Params) -> Result<(), Error> {
        self.0.iter().try_for_each(|step| make_step(step, params))
    }
}

fn make_step(step: &[OneCall], params: &Params) -> Result<(), Error> {
    if let [call @ OneCall { is_parallel: false, .. }] = step {
        for _ in 0..call.drawn() {
            call.judge(call.request(params).send())?;
        }
        return Ok(());
    }
    let started: Vec<(&OneCall, Pending)> = step
        .iter()
        .flat_map(|call| std::iter::repeat_n(call, call.drawn() as usize))
        .map(|call| (call, call.request(params).start()))
        .collect();
    // All are waited for, also when one has failed: what is under way is part of this request.
    let results: Vec<_> = started.into_iter().map(|(call, pending)| call.judge(pending.wait())).collect();
    results.into_iter().collect()
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
            chance: 1.0,
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
        if let Some(percent) = word.strip_suffix('%') {
            self.chance = match percent.parse::<f64>() {
                Ok(percent) if (0.0..=100.0).contains(&percent) => percent / 100.0,
                _ => return Err(format!("`{word}` is no chance; write 0% to 100%")),
            };
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
        Err(format!("`{word}` is neither a chance (25%), nor a number (3x, 3||), nor a method (POST)"))
    }

    /// How often it is called this time.
    fn drawn(&self) -> u32 {
        if random::chance(self.chance) { self.times } else { 0 }
    }

    fn request(&self, params: &Params) -> Call {
        call(&self.service).request(&self.method, &fill(&self.path, params))
    }

    /// What a result means for who called.
    fn judge(&self, result: Result<Response, CallError>) -> Result<(), Error> {
        match result {
            _ if self.is_optional => Ok(()),
            Err(error) => Err(Error::gateway(error)),
            Ok(response) if response.status() < 400 => Ok(()),
            Ok(response) => {
                Err(Error::bad_gateway(format!("{} answered {}", self.service, response.status())))
            }
        }
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

/// Puts values in place of names: those of the request, or numbers.
fn fill(path: &str, params: &Params) -> String {
    let fill_part = |(at, part): (usize, &str)| match (at % 2, params.get(part)) {
        (0, _) => part.to_owned(),
        (_, Some(value)) => percent_encode(value),
        (_, None) => (1 + random::uniform(0.0..NUMBERS) as u32).to_string(),
    };
    path.split(['{', '}']).enumerate().map(fill_part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(service: &str) -> OneCall {
        OneCall {
            chance: 1.0,
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
        let calls = Calls::parse("cart, pricing & POST stock/items/{id}, 2.5% 3x similar?").unwrap();
        let stock = OneCall { method: "POST".to_owned(), path: "/items/{id}".to_owned(), ..one("stock") };
        let similar = OneCall { chance: 0.025, times: 3, is_optional: true, ..one("similar") };
        assert_eq!(calls, Calls(vec![vec![one("cart")], vec![one("pricing"), stock], vec![similar]]));
    }

    #[test]
    fn a_number_of_calls_is_in_sequence_or_in_parallel() {
        let parsed = Calls::parse("10|| b, 50% 2|| POST b?").unwrap();
        let ten = OneCall { times: 10, is_parallel: true, ..one("b") };
        let two =
            OneCall { chance: 0.5, times: 2, method: "POST".to_owned(), is_optional: true, ..ten.clone() };
        assert_eq!(parsed, Calls(vec![vec![ten], vec![two]]));
    }

    #[test]
    fn every_call_that_is_none_is_named() {
        let expected = [
            ("", "names no service"),
            ("a,,b", "names no service"),
            ("a & ", "names no service"),
            ("101% a", "`101%` is no chance"),
            ("x% a", "`x%` is no chance"),
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
    fn names_in_a_path_become_what_the_request_has_or_numbers() {
        let params = Params(vec![("id".to_owned(), "a b".to_owned())]);
        assert_eq!(fill("/items/{id}/parts", &params), "/items/a%20b/parts");
        let filled = fill("/items/{other}", &params);
        let number: f64 = filled.strip_prefix("/items/").unwrap().parse().unwrap();
        assert!((1.0..=NUMBERS).contains(&number), "{filled}");
    }
}
