//! What may stand under a key: quantities and names.

use std::borrow::Cow;

use serde_json::{Value as Json, json};

use super::address;
use super::distribution::{self, distribution, positive_distribution};
use super::key::Type;
use super::patterns;
use super::rates::{positive_share, rate, rate_from_zero, share};
use super::reader::Value;
use super::schema::{Defs, text, text_like};
use super::shapes::{By, Written};
use super::units::{
    LONGEST, bandwidth, duration, duration_within, offset, positive_duration, show_size, size,
};
use crate::clock;
use crate::model::{Distribution, Nanos, Rate};

/// A length of time, zero included.
pub(crate) const DURATION: By<Nanos> =
    By { words: "a time", schema: |_| text_like(&patterns::time(), "250ms"), read: |value| duration(value) };

/// A length of time above zero.
pub(crate) const TIME: By<Nanos> = By { read: |value| positive_duration(value), ..DURATION };

/// A random length of time, zero included.
pub(crate) const DISTRIBUTION: By<Distribution> =
    By { words: "a time or a distribution", schema: distribution::schema, read: |value| distribution(value) };

/// A random length of time that is not always zero.
pub(crate) const POSITIVE_DISTRIBUTION: By<Distribution> =
    By { read: |value| positive_distribution(value), ..DISTRIBUTION };

/// A length of time, ahead or behind.
pub(crate) const OFFSET: By<i64> = By {
    words: "a time, negative if behind",
    schema: |_| text(&format!("[-+\u{2212}]?{}", patterns::time())),
    read: |value| offset(value),
};

/// A share, zero included.
pub(crate) const SHARE: By<f64> =
    By { words: "a share: `0.2` or `\"20%\"`", schema: |_| patterns::share(), read: |value| share(value) };

/// A share above zero.
pub(crate) const POSITIVE_SHARE: By<f64> = By {
    words: "a share above 0: `0.2` or `\"20%\"`",
    schema: |_| patterns::share(),
    read: |value| positive_share(value),
};

/// Events in a length of time, above zero.
pub(crate) const RATE: By<Rate> = By {
    words: "a rate: `\"20/s\"`, `\"90/m\"`",
    schema: |_| text(&patterns::rate()),
    read: |value| rate(value),
};

/// Events in a length of time, or none.
pub(crate) const RATE_FROM_ZERO: By<Rate> = By { read: |value| rate_from_zero(value), ..RATE };

/// Bytes in a second.
pub(crate) const BANDWIDTH: By<u64> = By {
    words: "`\"1MiB/s\"`, `\"500kB/s\"` or `\"10Mbit/s\"`",
    schema: |_| text(&patterns::bandwidth()),
    read: |value| bandwidth(value),
};

/// A string that says something.
pub(crate) const TEXT: By<String> = By {
    words: "text",
    schema: |_| json!({ "type": "string", "minLength": 1 }),
    read: |value| value.filled().map(str::to_owned),
};

/// A string that may be empty.
pub(crate) const ANY_TEXT: By<String> = By {
    words: "text",
    schema: |_| json!({ "type": "string" }),
    read: |value| value.text().map(str::to_owned),
};

/// The name of a topology, a load or a fault.
pub(crate) const NAME: By<String> = By {
    words: "a name: letters, digits, `.`, `_`, `-`",
    schema: |_| text(patterns::NAME),
    read: |value| value.read(address::name),
};

/// The method of a request.
pub(crate) const METHOD: By<String> = By {
    words: "`\"GET\"`, `\"POST\"`, …",
    schema: |_| text(patterns::METHOD),
    read: |value| value.read(address::method),
};

/// Whether something is so.
pub(crate) const FLAG: By<bool> =
    By { words: "`true` or `false`", schema: |_| json!({ "type": "boolean" }), read: |value| value.flag() };

/// The name of a service of the topology.
pub(crate) const SERVICE: Written = Written { words: "a service", schema: |_| json!({ "type": "string" }) };

/// Any value.
pub(crate) const ANY: Written = Written { words: "any value", schema: |_| json!({}) };

/// Headers of an answer, by name.
pub(crate) const HEADER_TABLE: Written = Written {
    words: "`{ retry-after = \"5\" }`",
    schema: |_| json!({ "type": "object", "additionalProperties": { "type": "string" } }),
};

/// A length of time from the first to the second.
#[derive(Debug)]
pub(crate) struct Within(pub Nanos, pub Nanos);

impl Type for Within {
    type Read = Nanos;

    fn read(&self, value: &Value<'_>) -> Option<Nanos> {
        duration_within(value, self.0..=self.1)
    }

    fn words(&self) -> Cow<'static, str> {
        let (least, most) = (clock::show(self.0), clock::show(self.1));
        match self.1 {
            LONGEST => Cow::Owned(format!("a time from `\"{least}\"`")),
            _ => Cow::Owned(format!("a time, `\"{least}\"` to `\"{most}\"`")),
        }
    }

    fn schema(&self, defs: &mut Defs) -> Json {
        DURATION.schema(defs)
    }
}

/// A size in bytes, from the first to the second.
#[derive(Debug)]
pub(crate) struct Size(pub u64, pub u64);

impl Type for Size {
    type Read = u64;

    fn read(&self, value: &Value<'_>) -> Option<u64> {
        size(value, self.0..=self.1)
    }

    fn words(&self) -> Cow<'static, str> {
        Cow::Owned(format!("a size up to `\"{}\"`", show_size(self.1)))
    }

    fn schema(&self, _: &mut Defs) -> Json {
        text(&patterns::size())
    }
}
