//! What a load's request says: its templates, filled in.

use crate::message::{Headers, Request};
use crate::model::{Draw, Form, Literal, Load, Piece, RequestTemplate, Template};
use crate::rng::{Key, Purpose};

/// Request `number` of a load; `key` gives the load's chance for a purpose.
pub fn request(load: &Load, key: impl Fn(Purpose) -> Key, number: u64) -> Request {
    let template = choose(&load.requests, key(Purpose::Mix).with(number));
    let fill = Fill { load, chance: key(Purpose::Value).with(number) };
    let headers = template.headers.iter().map(|(name, value)| (name.clone(), fill.text(value)));
    Request {
        method: template.method.clone(),
        target: fill.text(&template.target),
        headers: Headers(headers.collect()),
        body: fill.text(&template.body).into_bytes(),
    }
}

/// One of a mix, by weight.
fn choose(mix: &[RequestTemplate], chance: Key) -> &RequestTemplate {
    let [only] = mix else {
        let sum: f64 = mix.iter().map(|request| request.weight).sum();
        let mut left = chance.unit() * sum;
        let chosen = mix.iter().find(|request| {
            left -= request.weight;
            left < 0.0
        });
        return chosen.unwrap_or(&mix[0]);
    };
    only
}

/// What a request is filled in with.
struct Fill<'a> {
    load: &'a Load,
    /// The request's; each value has a part of it.
    chance: Key,
}

impl Fill<'_> {
    fn text(&self, template: &Template) -> String {
        let mut text = String::new();
        for piece in &template.0 {
            match piece {
                Piece::Fixed(fixed) => text.push_str(fixed),
                Piece::Value { index, form: Form::Json } => text.push_str(&self.value(*index).json),
            }
        }
        text
    }

    fn value(&self, index: usize) -> &Literal {
        let value = &self.load.values[index];
        let Draw::Pick(choices) = &value.draw;
        let sum = choices.last().map_or(0.0, |(sum, _)| *sum);
        let at = self.chance.with_name(&value.name).unit() * sum;
        let chosen = choices.partition_point(|(sum, _)| *sum <= at);
        &choices[chosen.min(choices.len() - 1)].1
    }
}
