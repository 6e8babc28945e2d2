//! Caches that services share: a simulated Redis, as the topology defines it.
//!
//! ```no_run
//! # use simhost_sdk::prelude::*;
//! # fn price_of(_: &str) -> Result<Vec<u8>, Error> { Ok(Vec::new()) }
//! # fn main() -> Result<(), Error> {
//! let prices = cache("prices");
//! let price = prices.get_or_make("price:book", Duration::from_secs(30), || price_of("book"))?;
//! cache("sessions").increment("visits", 1)?;
//! # Ok(()) }
//! ```
//!
//! Each function takes simulated time, as the way to the cache and back does, and has a CLIENT span by the conventions
//! for Redis. Keys have at most 1 KiB, values 1 MiB. A full cache evicts what was used least recently.

use crate::bindings::simhost::service::cache as raw;
use crate::clock::nanoseconds;
use std::fmt;
use std::time::Duration;

/// Why a cache gave no answer, as the contract has it.
pub use raw::Error as CacheCause;

/// A cache of the topology, by its name.
pub fn cache(name: impl Into<String>) -> Cache {
    Cache { name: name.into() }
}

/// The names of the caches that this service may use. In a unit test on the machine that builds there are none.
#[must_use]
pub fn all() -> Vec<String> {
    if cfg!(target_arch = "wasm32") { raw::all() } else { Vec::new() }
}

/// A cache that is about to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    name: String,
}

impl Cache {
    /// The value of a key: none if there is no such entry, or no more.
    ///
    /// # Errors
    /// If there is no answer, or the key is too long.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, CacheError> {
        self.answer(raw::get(&self.name, key))
    }

    /// The values of at most 256 keys, in their order.
    ///
    /// # Errors
    /// If there is no answer, or there are too many keys, or their values have more than 4 MiB.
    pub fn get_many<K: AsRef<str>>(&self, keys: &[K]) -> Result<Vec<Option<Vec<u8>>>, CacheError> {
        let keys: Vec<String> = keys.iter().map(|key| key.as_ref().to_owned()).collect();
        self.answer(raw::get_many(&self.name, &keys))
    }

    /// Sets the value of a key, which does not expire.
    ///
    /// # Errors
    /// If there is no answer, or the key or the value is too long.
    pub fn set(&self, key: &str, value: impl AsRef<[u8]>) -> Result<(), CacheError> {
        self.answer(raw::set(&self.name, key, value.as_ref(), None))
    }

    /// Sets the value of a key, which expires after this time.
    ///
    /// # Errors
    /// As of [`set`](Self::set).
    pub fn set_for(&self, key: &str, value: impl AsRef<[u8]>, ttl: Duration) -> Result<(), CacheError> {
        self.answer(raw::set(&self.name, key, value.as_ref(), Some(nanoseconds(ttl))))
    }

    /// The value of a key; if there is none, that which `make` gives, which is set for this time. A cache that does
    /// not answer counts as one without the entry.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn get_or_make<E>(
        &self,
        key: &str,
        ttl: Duration,
        make: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, E> {
        if let Ok(Some(value)) = self.get(key) {
            return Ok(value);
        }
        let value = make()?;
        // What cannot be kept is made again.
        self.set_for(key, &value, ttl).ok();
        Ok(value)
    }

    /// Removes an entry. Whether there was one.
    ///
    /// # Errors
    /// If there is no answer, or the key is too long.
    pub fn delete(&self, key: &str) -> Result<bool, CacheError> {
        self.answer(raw::delete(&self.name, key))
    }

    /// Adds to the number that is the value of a key, and gives the sum. An entry that is not there is made, as if it
    /// were 0.
    ///
    /// # Errors
    /// If there is no answer, or the value is no number.
    pub fn increment(&self, key: &str, by: i64) -> Result<i64, CacheError> {
        self.answer(raw::increment(&self.name, key, by))
    }

    fn answer<T>(&self, answer: Result<T, CacheCause>) -> Result<T, CacheError> {
        answer.map_err(|cause| CacheError { cache: self.name.clone(), cause })
    }
}

/// Why a cache gave no answer. With `?` it becomes an [unexpected](crate::Error::unexpected) error.
#[derive(Clone, Debug)]
pub struct CacheError {
    cache: String,
    cause: CacheCause,
}

impl CacheError {
    /// The cache that was asked.
    pub fn cache(&self) -> &str {
        &self.cache
    }

    /// What happened, to match on.
    pub fn cause(&self) -> &CacheCause {
        &self.cause
    }
}

impl fmt::Display for CacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.cache)?;
        match &self.cause {
            CacheCause::UnknownCache(text) => write!(f, "unknown cache: {text}"),
            CacheCause::TooLarge(text) => f.write_str(text),
            CacheCause::NotANumber => write!(f, "the value is not a whole number of 64 bits"),
            CacheCause::Timeout => write!(f, "no answer in time"),
            CacheCause::Invalid(text) => write!(f, "invalid: {text}"),
            CacheCause::Other(other) => f.write_str(&other.message),
        }
    }
}

impl std::error::Error for CacheError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn an_error_names_its_cache_and_becomes_an_unexpected_one() {
        let asked = cache("prices").answer::<()>(Err(CacheCause::Timeout));
        let error = asked.expect_err("no answer");
        assert_eq!((error.cache(), error.to_string().as_str()), ("prices", "prices: no answer in time"));
        let error = Error::from(error);
        assert_eq!((error.status(), error.kind()), (500, "CacheError"));
    }
}
