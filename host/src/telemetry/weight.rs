//! What records take in memory, roughly: bytes.
//!
//! Texts that many records share count for none of them.

use super::record::{Event, KeyValue, Text, Value};

impl Text {
    /// Bytes that it has for itself.
    pub const fn weight(&self) -> usize {
        match self {
            Self::Owned(text) => text.len(),
            Self::Static(_) | Self::Shared(_) => 0,
        }
    }
}

impl Value {
    /// Bytes besides those of the value itself.
    pub fn weight(&self) -> usize {
        match self {
            Self::Text(text) => text.weight(),
            Self::Texts(texts) => texts.iter().map(|text| size_of::<String>() + text.len()).sum(),
            Self::Ints(values) => size_of_val(values.as_slice()),
            Self::Bool(_) | Self::Int(_) | Self::Float(_) => 0,
        }
    }
}

impl KeyValue {
    /// Bytes that it takes in a list.
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.key.weight() + self.value.weight()
    }
}

impl Event {
    /// Bytes that it takes in a list.
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.name.weight() + sum(&self.attributes)
    }
}

/// Bytes that attributes take in a list.
pub fn sum(attributes: &[KeyValue]) -> usize {
    attributes.iter().map(KeyValue::weight).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_texts_weigh_what_they_hold_and_shared_ones_nothing() {
        let pair = |key: Text, value: Value| KeyValue { key, value }.weight() - size_of::<KeyValue>();
        assert_eq!(pair(Text::Static("key"), Value::Int(1)), 0);
        assert_eq!(pair(Text::Owned("key".into()), Value::Text(Text::Owned("text".into()))), 7);
        assert_eq!(pair(Text::Shared("key".into()), Value::Ints(vec![1, 2])), 16);
        let texts = vec![String::new(), "four".to_owned()];
        assert_eq!(pair(Text::Static(""), Value::Texts(texts)), 2 * size_of::<String>() + 4);
    }
}
