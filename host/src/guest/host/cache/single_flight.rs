//! Entries that are missing, where the cache lets one request make them: `single-flight`.

use std::pin::pin;
use std::rc::Rc;

use futures_util::future::{Either, select};

use crate::cache::{Landing, Lease, Missing};
use crate::guest::identity::Identity;
use crate::model::Nanos;
use crate::process::Process;

use super::command::{NEWS, There};

/// Entries that a request makes at a time. Others go on without the one that it missed first.
const LEASES: usize = 64;

/// What a worker makes: the names of caches, keys, and the leases of these.
pub struct State(Vec<(String, String, Lease)>);

impl State {
    pub const fn new(_: &Identity) -> Self {
        Self(Vec::new())
    }

    /// The request has ended: what it has not set by now, another one makes.
    pub fn finish(&mut self) {
        self.0.clear();
    }

    /// Whether the request makes an entry itself: then it does not wait for that.
    pub fn makes(&self, cache: &str, key: &str) -> bool {
        self.0.iter().any(|(of, known, _)| of == cache && known == key)
    }

    /// The request makes an entry from now on.
    pub fn make(&mut self, cache: &str, key: &str, lease: Lease) {
        if self.0.len() >= LEASES {
            self.0.remove(0);
        }
        self.0.push((cache.to_owned(), key.to_owned(), lease));
    }

    /// It has set the entry, or tried to.
    pub fn made(&mut self, cache: &str, key: &str) {
        self.0.retain(|(of, known, _)| of != cache || known != key);
    }
}

/// What came of looking for an entry.
pub enum Looked {
    Found(Rc<[u8]>),
    /// It is for this request to make it.
    Missing(Option<Lease>),
    /// Another request is making it.
    Awaited(Wait),
}

/// A wait for another request.
pub struct Wait {
    landing: Landing,
    /// How long the news takes that there is an entry.
    news: Nanos,
    /// The request waits no longer than until then.
    pub at_most_until: Nanos,
}

impl Looked {
    /// Looks for an entry. `until` is how long the request waits at most, if it has waited already.
    pub fn at(there: &There<'_>, until: Option<Nanos>) -> Self {
        let found = there.store().get(there.key(), there.now);
        if let Some(value) = found {
            return Self::Found(value);
        }
        match there.cache.missing(there.key(), there.now) {
            Missing::Make(lease) => Self::Missing(lease),
            Missing::Wait(_) if until.is_some_and(|until| until <= there.now) => Self::Missing(None),
            Missing::Wait(landing) => {
                if until.is_none() {
                    there.cache.note(|clients| clients.waited += 1);
                }
                let news = there.cache.settings.latency.sample(&mut there.chance.with(NEWS).stream());
                let at_most_until = until.unwrap_or_else(|| there.now.saturating_add(landing.at_most));
                Self::Awaited(Wait { landing, news, at_most_until })
            }
        }
    }

    /// Looks for an entry that the request itself is making.
    pub fn anyway(there: &There<'_>) -> Self {
        there.store().get(there.key(), there.now).map_or(Self::Missing(None), Self::Found)
    }
}

impl Wait {
    /// Waits until the entry is there or nobody makes it any more, or for too long.
    pub async fn over(self, process: Rc<Process>) {
        let Self { landing, news, at_most_until } = self;
        let sched = &process.sched;
        let given_up = sched.sleep_until(landing.until.min(at_most_until));
        if let Either::Left(_) = select(pin!(landing.landed), pin!(given_up)).await {
            sched.sleep(news).await;
        }
        process.go_on().await;
    }
}
