//! What may stand under a key: how it is read, and how the reference says it.

use std::borrow::Cow;

use super::distribution::{distribution, positive_distribution};
use super::key::Type;
use super::rates::{positive_share, rate, share};
use super::reader::Value;
use super::units::{bandwidth, offset, positive_duration, show_size, size};
use crate::model::{Distribution, Nanos, Rate};

/// What a function reads.
#[derive(Debug)]
pub(super) struct By<R> {
    pub words: &'static str,
    pub read: fn(&Value<'_>) -> Option<R>,
}

impl<R> Type for By<R> {
    type Read = R;

    fn read(&self, value: &Value<'_>) -> Option<R> {
        (self.read)(value)
    }

    fn words(&self) -> Cow<'static, str> {
        Cow::Borrowed(self.words)
    }
}

/// A length of time above zero.
pub(super) const TIME: By<Nanos> = By { words: "a time", read: |value| positive_duration(value) };

/// A random length of time, zero included.
pub(super) const DISTRIBUTION: By<Distribution> =
    By { words: "a time or a distribution", read: |value| distribution(value) };

/// A random length of time that is not always zero.
pub(super) const POSITIVE_DISTRIBUTION: By<Distribution> =
    By { words: "a time or a distribution", read: |value| positive_distribution(value) };

/// A length of time, ahead or behind.
pub(super) const OFFSET: By<i64> = By { words: "a time, negative if behind", read: |value| offset(value) };

/// A share, zero included.
pub(super) const SHARE: By<f64> = By { words: "a share: `0.2` or `\"20%\"`", read: |value| share(value) };

/// A share above zero.
pub(super) const POSITIVE_SHARE: By<f64> =
    By { words: "a share above 0: `0.2` or `\"20%\"`", read: |value| positive_share(value) };

/// Events in a length of time.
pub(super) const RATE: By<Rate> = By { words: "a rate: `\"20/s\"`, `\"90/m\"`", read: |value| rate(value) };

/// Bytes in a second.
pub(super) const BANDWIDTH: By<u64> =
    By { words: "`\"1MiB/s\"`, `\"500kB/s\"` or `\"10Mbit/s\"`", read: |value| bandwidth(value) };

/// A string that says something.
pub(super) const TEXT: By<String> = By { words: "text", read: |value| value.filled().map(str::to_owned) };

/// What its reader takes apart by itself.
#[derive(Debug)]
pub(super) struct Written(pub &'static str);

impl Type for Written {
    type Read = ();

    fn read(&self, _: &Value<'_>) -> Option<()> {
        Some(())
    }

    fn words(&self) -> Cow<'static, str> {
        Cow::Borrowed(self.0)
    }
}

/// A whole number from the first to the second.
#[derive(Debug)]
pub(super) struct Count(pub u32, pub u32);

impl Type for Count {
    type Read = u32;

    fn read(&self, value: &Value<'_>) -> Option<u32> {
        value.count(self.0..=self.1)
    }

    fn words(&self) -> Cow<'static, str> {
        Cow::Owned(format!("a whole number, {} to {}", self.0, self.1))
    }
}

/// [`Count`] beyond 32 bits.
#[derive(Debug)]
pub(super) struct Whole(pub u64, pub u64);

impl Type for Whole {
    type Read = u64;

    fn read(&self, value: &Value<'_>) -> Option<u64> {
        value.whole(self.0..=self.1)
    }

    fn words(&self) -> Cow<'static, str> {
        Cow::Owned(format!("a whole number, {} to {}", self.0, self.1))
    }
}

/// A size in bytes, from the first to the second.
#[derive(Debug)]
pub(super) struct Size(pub u64, pub u64);

impl Type for Size {
    type Read = u64;

    fn read(&self, value: &Value<'_>) -> Option<u64> {
        size(value, self.0..=self.1)
    }

    fn words(&self) -> Cow<'static, str> {
        Cow::Owned(format!("a size up to `\"{}\"`", show_size(self.1)))
    }
}

/// One of a few words; `what` says what they are, in the singular.
#[derive(Debug)]
pub(super) struct Choice<T: 'static> {
    pub what: &'static str,
    pub words: &'static [(&'static str, T)],
}

impl<T: Copy + Sync> Type for Choice<T> {
    type Read = T;

    fn read(&self, value: &Value<'_>) -> Option<T> {
        value.choice(self.what, self.words)
    }

    fn words(&self) -> Cow<'static, str> {
        let words: Vec<_> = self.words.iter().map(|(word, _)| format!("`\"{word}\"`")).collect();
        Cow::Owned(words.join(", "))
    }
}
