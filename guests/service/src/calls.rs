//! The calls of an operation, made.

use std::collections::VecDeque;

use simhost_notation::{Calls, OneCall, Part, parts};
use simhost_sdk::extract::Params;
use simhost_sdk::prelude::*;
use simhost_sdk::{Call, Pending};

/// Parts of a path in braces that the request does not have are numbers from 1 to this.
const NUMBERS: f64 = 1000.0;

/// Makes the calls. `params` are the parameters of the request's own path; at most `parallel` calls are under way at a
/// time: the next one is made when the first of those has ended.
pub fn make(calls: &Calls, params: &Params, parallel: usize) -> Result<(), Error> {
    calls.0.iter().try_for_each(|step| make_step(step, params, parallel))
}

fn make_step(step: &[OneCall], params: &Params, parallel: usize) -> Result<(), Error> {
    if let [call @ OneCall { is_parallel: false, .. }] = step {
        for _ in 0..drawn(call) {
            judge(call, request(call, params).send())?;
        }
        return Ok(());
    }
    let calls = step.iter().flat_map(|call| std::iter::repeat_n(call, drawn(call) as usize));
    let (mut under_way, mut outcome) = (VecDeque::<(&OneCall, Pending)>::new(), Ok(()));
    // All are waited for, also when one has failed: what is under way is part of this request.
    let mut end = |(call, pending): (&OneCall, Pending)| {
        let result = judge(call, pending.wait());
        if outcome.is_ok() {
            outcome = result;
        }
    };
    for call in calls {
        if under_way.len() >= parallel {
            under_way.pop_front().into_iter().for_each(&mut end);
        }
        under_way.push_back((call, request(call, params).start()));
    }
    under_way.into_iter().for_each(&mut end);
    outcome
}

/// How often it is called this time.
pub fn drawn(call: &OneCall) -> u32 {
    if random::chance(call.share) { call.times } else { 0 }
}

fn request(one: &OneCall, params: &Params) -> Call {
    call(&one.service).request(&one.method, &fill(&one.path, params, percent_encode))
}

/// What a result means for who called.
fn judge(call: &OneCall, result: Result<Response, CallError>) -> Result<(), Error> {
    match result {
        _ if call.is_optional => Ok(()),
        Err(error) => Err(Error::gateway(error)),
        Ok(response) if response.status() < 400 => Ok(()),
        Ok(response) => Err(Error::bad_gateway(format!("{} answered {}", call.service, response.status()))),
    }
}

/// Puts values in place of names: those of the request, as `encode` writes them, or numbers.
pub fn fill(path: &str, params: &Params, encode: impl Fn(&str) -> String) -> String {
    let fill_part = |part| match part {
        Part::Text(text) => text.to_owned(),
        Part::Name(name) => match params.get(name) {
            Some(value) => encode(value),
            None => (1 + random::uniform(0.0..NUMBERS) as u32).to_string(),
        },
    };
    parts(path).map(fill_part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_path_become_what_the_request_has_or_numbers() {
        let params = Params(vec![("id".to_owned(), "a b".to_owned())]);
        assert_eq!(fill("/items/{id}/parts", &params, percent_encode), "/items/a%20b/parts");
        let filled = fill("/items/{other}", &params, percent_encode);
        let number: f64 = filled.strip_prefix("/items/").unwrap().parse().unwrap();
        assert!((1.0..=NUMBERS).contains(&number), "{filled}");
    }
}
