//! Texts and attributes that a guest records, within its bounds.

use crate::telemetry::env::SpanLimits;
use crate::telemetry::record::{KeyValue, Text, Value};
use crate::wasi::bill;

use super::budget::Budget;

/// A text of a guest is cut here when no limit is set: bytes. The specification
/// knows no bound, but a guest must not fill the host's memory with spans.
const TEXT_BYTES: usize = 16 << 10;

/// Elements of an attribute that is a list; the rest is cut off.
const LIST_LENGTH: usize = 128;

/// Attributes of a span or a record that a key is compared with, as its price has it: as many as an SDK keeps
/// by default ("SDK configuration" of the specification).
const COMPARED: u32 = 128;

/// What it costs to find keys of these lengths among those of `before` attributes and of one another:
/// units of fuel. It depends on what the guest sets, not on what is kept of it, so that no limit, no bound
/// and no sampler changes how long a guest computes. A limit of `most` attributes makes each search
/// longer only where it is larger than [`COMPARED`] and the guest sets as many.
pub fn searches(keys: impl Iterator<Item = usize>, before: u32, most: u32) -> u64 {
    let bound = most.max(COMPARED);
    let search =
        |(length, before): (usize, u32)| bill::search(before.min(bound) as usize, length.min(TEXT_BYTES));
    keys.zip(before..).map(search).sum()
}

/// Sets attributes, at most `most` of them and as far as the budget has room; returns how
/// many were kept out.
pub fn merge(
    into: &mut Vec<KeyValue>,
    attributes: impl IntoIterator<Item = KeyValue>,
    most: u32,
    limits: &SpanLimits,
    budget: &Budget,
) -> u32 {
    let mut dropped = 0;
    for mut attribute in attributes {
        let into_len = into.len();
        fit(&mut attribute, limits.value_length);
        let known = into.iter_mut().find(|known| known.key == attribute.key);
        let is_over = attribute.key.is_empty() || known.is_none() && into_len >= most as usize;
        if is_over || !budget.record(attribute.weight()) {
            dropped += 1;
        } else if let Some(known) = known {
            known.value = attribute.value;
        } else {
            into.push(attribute);
        }
    }
    dropped
}

/// Cuts what is too long of an attribute; `value_length` is the limit of characters that is set for
/// its texts, if there is one.
pub fn fit(attribute: &mut KeyValue, value_length: Option<u32>) {
    match &mut attribute.value {
        Value::Text(Text::Owned(text)) => truncate(text, value_length),
        Value::Texts(texts) => {
            texts.truncate(LIST_LENGTH);
            texts.iter_mut().for_each(|text| truncate(text, value_length));
        }
        Value::Ints(values) => values.truncate(LIST_LENGTH),
        _ => {}
    }
    if let Text::Owned(key) = &mut attribute.key {
        bound(key);
    }
}

/// Cuts a text after as many characters as the limit allows.
fn truncate(text: &mut String, limit: Option<u32>) {
    let Some(limit) = limit else { return bound(text) };
    if let Some((end, _)) = text.char_indices().nth(limit as usize) {
        text.truncate(end);
    }
}

/// Cuts a name or a message of a guest at the host's own bound.
pub fn bound(text: &mut String) {
    if text.len() > TEXT_BYTES {
        text.truncate(text.floor_char_boundary(TEXT_BYTES));
    }
}
