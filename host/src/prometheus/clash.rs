//! Metrics that a page cannot have, because others on it have their names or labels. They are counted,
//! for the report.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// Clashes that are told apart. Further ones are one.
const CLASHES: usize = 20;

/// A metric that a page cannot have, or not with all its series.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clash {
    pub service: Arc<str>,
    /// The name of its instrument; empty for clashes beyond those that are told apart.
    pub metric: Box<str>,
    pub cause: Cause,
}

/// What keeps points from a page.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Another metric has a name that its family or its samples would have.
    Name { service: Arc<str>, metric: Box<str> },
    /// The page itself has the name: `target_info`.
    Target,
    /// Other series of the metric have the same labels.
    Labels,
    /// Of [`CLASHES`].
    Further,
}

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, metric, cause } = self;
        let which = if *cause == Cause::Labels { "some series of the metric" } else { "the metric" };
        write!(f, "a page for Prometheus is without {which} {} of {service}: {cause}", metric.escape_debug())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { service, metric } => {
                let metric = metric.escape_debug();
                write!(f, "its name, or one of its samples, is that of {metric} of {service}")
            }
            Self::Target => f.write_str("its name is target_info, which each page has"),
            Self::Labels => f.write_str("its attributes become the labels of another of its series"),
            Self::Further => f.write_str("there are more such metrics"),
        }
    }
}

/// The clashes of all pages of a run, with the data points that each has kept from pages.
#[derive(Debug, Default)]
pub struct Clashes {
    all: Mutex<BTreeMap<Clash, u64>>,
    first: watch::Sender<Option<Clash>>,
}

impl Clashes {
    /// A page was made without these points.
    pub fn add(&self, left_out: impl IntoIterator<Item = (Clash, u64)>) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        for (clash, points) in left_out {
            if all.is_empty() {
                self.first.send_replace(Some(clash.clone()));
            }
            let is_room = all.len() < CLASHES || all.contains_key(&clash);
            let further = || Clash { service: "".into(), metric: "".into(), cause: Cause::Further };
            *all.entry(if is_room { clash } else { further() }).or_default() += points;
        }
    }

    /// Ends when there is one; with the first.
    pub fn noticed(&self) -> impl Future<Output = Option<Clash>> + use<> {
        let mut told = self.first.subscribe();
        async move { told.wait_for(Option::is_some).await.ok().and_then(|first| first.clone()) }
    }

    /// All of them, with the points that they have kept from pages.
    pub fn all(&self) -> Vec<(Clash, u64)> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(clash, points)| (clash.clone(), *points)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_clashes_is_counted_and_keeps_its_bound() {
        let clashes = Clashes::default();
        for number in 0..1_000 {
            let metric = format!("m{number}").into();
            clashes.add([(Clash { service: "shop".into(), metric, cause: Cause::Labels }, 2)]);
        }
        let all = clashes.all();
        assert_eq!(all.len(), CLASHES + 1);
        assert_eq!(all.iter().map(|(_, points)| points).sum::<u64>(), 2_000);
        assert!(all.iter().any(|(clash, points)| clash.cause == Cause::Further && *points == 1_960));
    }
}
