//! What a load's request says: its templates, filled in.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::INFALLIBLE;
use crate::message::{Headers, Request};
use crate::model::{Draw, Form, Load, Names, Piece, RequestTemplate, Template, Value};
use crate::rng::{Key, Purpose};

/// What is encoded in a part of a path: all but the unreserved characters (RFC 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Who a request is within its load.
#[derive(Clone, Copy, Debug)]
pub enum Who {
    /// The n-th of an open loop, from 0 on.
    Arrival(u64),
    /// The n-th of a user, both from 0 on; and the number of users.
    User { user: u32, iteration: u64, users: u32 },
}

impl Who {
    /// The part of `key` that is this request's own.
    pub fn of(self, key: Key) -> Key {
        match self {
            Self::Arrival(number) => key.with(number),
            Self::User { user, iteration, .. } => key.with(u64::from(user)).with(iteration),
        }
    }

    /// Its number in sequences. Users count in turns, so that no answer that is
    /// late moves another's number.
    fn ordinal(self) -> u64 {
        match self {
            Self::Arrival(number) => number,
            Self::User { user, iteration, users } => {
                iteration.wrapping_mul(u64::from(users)).wrapping_add(u64::from(user))
            }
        }
    }
}

/// A request of a load; `key` gives the load's chance for a purpose.
pub fn request(load: &Load, key: impl Fn(Purpose) -> Key, who: Who) -> Request {
    let template = choose(&load.requests, who.of(key(Purpose::Mix)));
    let fill = Fill { load, chance: who.of(key(Purpose::Value)), ordinal: who.ordinal() };
    let headers = template.headers.iter().map(|(name, value)| (name.clone(), fill.text(value)));
    Request {
        method: template.method.clone(),
        target: fill.text(&template.target),
        headers: Headers(headers.collect()),
        body: fill.text(&template.body).into_bytes(),
    }
}

/// The first request of an open loop of `load`, whether or not the load is enabled. `root` is
/// [`Model::root`](crate::model::Model::root). None where a value is drawn from a file that was not read:
/// only those of enabled loads are.
pub fn example(load: &Load, root: u64) -> Option<Request> {
    let is_unread = |value: &Value| matches!(value.draw, Draw::Names(Names::File { .. }));
    let key = |purpose| Key::new(root, purpose).with_name(&load.name);
    (!load.values.iter().any(is_unread)).then(|| request(load, key, Who::Arrival(0)))
}

/// One of a mix, by weight.
fn choose(mix: &[RequestTemplate], chance: Key) -> &RequestTemplate {
    if let [only] = mix {
        return only;
    }
    let mut left = chance.unit() * mix.iter().map(|request| request.weight).sum::<f64>();
    let chosen = mix.iter().find(|request| {
        left -= request.weight;
        left < 0.0
    });
    // A rounding error may lead behind the last one that has a weight.
    let last = || mix.iter().rfind(|request| request.weight > 0.0);
    chosen.or_else(last).unwrap_or(&mix[0])
}

/// What a request is filled in with.
struct Fill<'a> {
    load: &'a Load,
    /// The request's; each value has a part of it. A value that is written twice
    /// is drawn twice, and is the same.
    chance: Key,
    ordinal: u64,
}

impl Fill<'_> {
    fn text(&self, template: &Template) -> String {
        let mut text = String::new();
        for piece in &template.0 {
            match piece {
                Piece::Fixed(fixed) => text.push_str(fixed),
                Piece::Value { index, form } => self.value(*index, *form, &mut text),
            }
        }
        text
    }

    fn value(&self, index: usize, form: Form, text: &mut String) {
        let value = &self.load.values[index];
        let chance = self.chance.with_name(&value.name);
        match &value.draw {
            Draw::Pick(choices) => {
                let sum = choices.last().map_or(0.0, |(sum, _)| *sum);
                let at = chance.unit() * sum;
                let chosen = choices.partition_point(|(sum, _)| *sum <= at);
                let Some((_, literal)) = choices.get(chosen).or(choices.last()) else { return };
                match form {
                    Form::Json => text.push_str(&literal.json),
                    _ => write_text(&literal.text, form, text),
                }
            }
            Draw::Names(Names::Read(names)) => {
                let chosen = below(chance, names.len() as u64) as usize;
                write_text(&names[chosen], form, text);
            }
            // A run begins when its files are read.
            Draw::Names(Names::File { .. }) => {}
            Draw::Int { min, max } => {
                let count = max.abs_diff(*min).wrapping_add(1);
                write!(text, "{}", min.wrapping_add_unsigned(below(chance, count))).expect(INFALLIBLE);
            }
            Draw::Float { min, max, digits } => {
                let number = min + (max - min) * chance.unit();
                match digits {
                    Some(digits) => write!(text, "{number:.*}", usize::from(*digits)),
                    None => write!(text, "{number:?}"),
                }
                .expect(INFALLIBLE);
            }
            Draw::Sequence { from, step } => {
                let number = from.wrapping_add(step.wrapping_mul(self.ordinal.cast_signed()));
                write!(text, "{number}").expect(INFALLIBLE);
            }
            Draw::Uuid => write_text(&uuid(chance), form, text),
        }
    }
}

/// A number below `count`; of all numbers, where `count` is 0.
fn below(chance: Key, count: u64) -> u64 {
    match count {
        0 => chance.draw(),
        // The upper half of the product: even to one in 2^64 / count.
        _ => ((u128::from(chance.draw()) * u128::from(count)) >> 64) as u64,
    }
}

/// A UUID, version 4 (RFC 9562, section 5.4).
fn uuid(chance: Key) -> String {
    let (high, low) = (chance.with(0).draw(), chance.with(1).draw());
    let high = high & !0xf000 | 0x4000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    let node = low & 0xffff_ffff_ffff;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{node:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48
    )
}

fn write_text(value: &str, form: Form, text: &mut String) {
    match form {
        Form::Plain => text.push_str(value),
        Form::Percent => text.extend(utf8_percent_encode(value, RESERVED)),
        Form::Json => text.push_str(&quoted(value)),
        Form::JsonText => {
            let quoted = quoted(value);
            text.push_str(&quoted[1..quoted.len() - 1]);
        }
    }
}

/// A value as a part of a path has it.
pub fn in_path(value: &str) -> String {
    utf8_percent_encode(value, RESERVED).to_string()
}

fn quoted(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

#[cfg(test)]
mod tests;
