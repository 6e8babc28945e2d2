//! Texts and attributes that a guest records, within its bounds.

use crate::telemetry::env::SpanLimits;
use crate::telemetry::record::{KeyValue, Text, Value};
use crate::wasi::bill::{self, Bill};

use super::budget::Budget;

/// A text of a guest is cut here when no limit is set: bytes. The specification
/// knows no bound, but a guest must not fill the host's memory with spans.
const TEXT_BYTES: usize = 16 << 10;

/// Elements of an attribute that is a list; the rest is cut off.
const LIST_LENGTH: usize = 128;

/// Sets attributes, at most `most` of them and as far as the budget has room; returns how
/// many were kept out. The bill is for finding the keys among those that are set already.
pub fn merge(
    into: &mut Vec<KeyValue>,
    attributes: impl IntoIterator<Item = KeyValue>,
    most: u32,
    limits: &SpanLimits,
    budget: &Budget,
    bill: &Bill,
) -> u32 {
    let (mut dropped, mut searched) = (0, 0);
    for mut attribute in attributes {
        let into_len = into.len();
        fit(&mut attribute, limits.value_length);
        searched += bill::search(into_len, attribute.key.weight());
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
    bill.charge(searched);
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
