//! `simhost:service/cache`: the caches of the topology.

mod command;
mod single_flight;

use std::ops::ControlFlow;
use std::rc::Rc;

use futures_util::future::{BoxFuture, FutureExt, LocalBoxFuture};
use wasmtime::component::{HasSelf, LinkerInstance};

use crate::cache::{KEY_AT_MOST, Operation, VALUE_AT_MOST};
use crate::model::Nanos;
use crate::sched;
use crate::wasi::bill::{self, COMMAND, FUNCTION, LOOKUP};

use super::state::GuestState;
use crate::guest::bindings::simhost::service::cache;
use command::{Failed, There, too_large};
use single_flight::Looked;

pub use single_flight::State;

/// Keys that are looked for at once. The WIT has the number.
const KEYS_AT_MOST: usize = 256;

/// Bytes of the values that are given at once. The WIT has the number.
const VALUES_AT_MOST: usize = 4 << 20;

/// Links the interface.
pub(super) fn link(instance: &mut LinkerInstance<'_, GuestState>) -> wasmtime::Result<()> {
    cache::add_to_linker_instance::<_, HasSelf<_>>(instance, |state| state)
}

/// The answer to a command, when it comes.
type Answer<T> = LocalBoxFuture<'static, Result<T, cache::Error>>;

/// The value of an entry, if there is one.
type Found = Result<Option<Vec<u8>>, cache::Error>;

/// A wait for another request, which is over by that instant at the latest.
type Awaiting = (Nanos, BoxFuture<'static, ()>);

impl cache::Host for GuestState {
    fn all(&mut self) -> wasmtime::Result<Vec<String>> {
        let local = self.local.get();
        let names: Vec<_> = local.host.caches.names(local.identity.service).map(str::to_owned).collect();
        self.charge(FUNCTION + bill::bytes(names.iter().map(|name| size_of::<String>() + name.len()).sum()));
        Ok(names)
    }

    async fn get(
        &mut self,
        cache: String,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, cache::Error>> {
        let is_made_here = self.local.get().interfaces.cache.makes(&cache, &key);
        let mut until = None;
        let value = loop {
            let answer = self.start(Operation::Get, &cache, &[&key], 0, move |there| {
                Ok(if is_made_here { Looked::anyway(there) } else { Looked::at(there, until) })
            });
            match self.looked(&cache, &key, sched::here(answer).await) {
                ControlFlow::Break(value) => break value,
                ControlFlow::Continue((at_most_until, wait)) => {
                    until = Some(at_most_until);
                    wait.await;
                }
            }
        };
        self.charge(bill::bytes(value.as_ref().ok().into_iter().flatten().map(Vec::len).sum()));
        Ok(value)
    }

    async fn get_many(
        &mut self,
        cache: String,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<Option<Vec<u8>>>, cache::Error>> {
        let asked: Vec<&str> = keys.iter().map(String::as_str).collect();
        let answer = self.start(Operation::GetMany, &cache, &asked, 0, |there| {
            let values: Vec<_> = there.keys.iter().map(|key| there.store().get(key, there.now)).collect();
            let bytes: usize = values.iter().flatten().map(|value| value.len()).sum();
            if bytes > VALUES_AT_MOST {
                return Err(too_large(format!("the values have {bytes} bytes, more than {VALUES_AT_MOST}")));
            }
            Ok(values)
        });
        let values = sched::here(answer).await.map(|values| {
            values.into_iter().map(|value| value.map(|value| value.to_vec())).collect::<Vec<_>>()
        });
        let of = |value: &Option<Vec<u8>>| size_of_val(value) + value.as_ref().map_or(0, Vec::len);
        self.charge(bill::bytes(values.as_ref().map_or(0, |values| values.iter().map(of).sum())));
        Ok(values)
    }

    async fn set(
        &mut self,
        cache: String,
        key: String,
        value: Vec<u8>,
        ttl: Option<u64>,
    ) -> wasmtime::Result<Result<(), cache::Error>> {
        let bytes = value.len();
        let answer = self.start(Operation::Set, &cache, &[&key], bytes, move |there| {
            let expires = ttl.map(|ttl| there.now.saturating_add(ttl));
            there.store().set(there.key(), value.into(), expires, there.now)?;
            there.has_set();
            Ok(())
        });
        let set = sched::here(answer).await;
        self.local.get_mut().interfaces.cache.made(&cache, &key);
        Ok(set)
    }

    async fn delete(&mut self, cache: String, key: String) -> wasmtime::Result<Result<bool, cache::Error>> {
        let answer = self.start(Operation::Delete, &cache, &[&key], 0, |there| {
            Ok(there.store().delete(there.key(), there.now))
        });
        Ok(sched::here(answer).await)
    }

    async fn increment(
        &mut self,
        cache: String,
        key: String,
        by: i64,
    ) -> wasmtime::Result<Result<i64, cache::Error>> {
        let answer = self.start(Operation::Increment, &cache, &[&key], 0, move |there| {
            let sum = there.store().increment(there.key(), by, there.now)?;
            there.has_set();
            Ok(sum)
        });
        Ok(sched::here(answer).await)
    }
}

impl GuestState {
    /// What comes of looking for an entry: its value, or a wait after which it is looked for again.
    fn looked(
        &mut self,
        cache: &str,
        key: &str,
        looked: Result<Looked, cache::Error>,
    ) -> ControlFlow<Found, Awaiting> {
        ControlFlow::Break(match looked {
            Ok(Looked::Found(value)) => Ok(Some(value.to_vec())),
            Ok(Looked::Missing(lease)) => {
                let state = &mut self.local.get_mut().interfaces.cache;
                lease.into_iter().for_each(|lease| state.make(cache, key, lease));
                Ok(None)
            }
            Ok(Looked::Awaited(wait)) => {
                let process = Rc::clone(&self.local.get().identity.process);
                let at_most_until = wait.at_most_until;
                let over = sched::here(wait.over(process).boxed_local());
                return ControlFlow::Continue((at_most_until, over.boxed()));
            }
            Err(error) => Err(error),
        })
    }

    /// Sends a command for these keys, with a value of so many `bytes`; `run` is what the cache does when the
    /// command has arrived.
    fn start<T: 'static>(
        &mut self,
        operation: Operation,
        cache: &str,
        keys: &[&str],
        bytes: usize,
        run: impl FnOnce(&There<'_>) -> Result<T, Failed> + 'static,
    ) -> Answer<T> {
        let names: usize = keys.iter().map(|key| size_of::<String>() + key.len()).sum();
        let lookups = keys.len() as u64 * LOOKUP;
        self.charge(FUNCTION + COMMAND + lookups + bill::bytes(cache.len() + names + bytes));
        let local = self.local.get_mut();
        let refused = |error| std::future::ready(Err(error)).boxed_local();
        let cache = match local.host.caches.find(local.identity.service, cache) {
            Ok(cache) => cache,
            Err(known) => return refused(cache::Error::UnknownCache(known)),
        };
        if let Err(error) = check(keys, bytes) {
            return refused(error);
        }
        match local.command(operation, cache, keys) {
            Some((command, chance)) => {
                let keys = keys.iter().map(|key| (*key).to_owned()).collect();
                let process = Rc::clone(&local.identity.process);
                command.run(chance, process, keys, run).boxed_local()
            }
            None => refused(cache::Error::Invalid("a cache is used while a request is served".to_owned())),
        }
    }
}

/// Refuses what is over a bound, before anything is sent.
fn check(keys: &[&str], bytes: usize) -> Result<(), cache::Error> {
    let longest = keys.iter().map(|key| key.len()).max().unwrap_or(0);
    let text = if keys.len() > KEYS_AT_MOST {
        format!("{} keys are more than {KEYS_AT_MOST}", keys.len())
    } else if longest > KEY_AT_MOST {
        format!("a key of {longest} bytes is longer than {KEY_AT_MOST}")
    } else if bytes > VALUE_AT_MOST {
        format!("a value of {bytes} bytes is longer than {VALUE_AT_MOST}")
    } else {
        return Ok(());
    };
    Err(cache::Error::TooLarge(text))
}

#[cfg(test)]
mod tests;
