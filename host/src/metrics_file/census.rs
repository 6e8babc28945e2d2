//! What a file has, while it is read for the first time: instants and names.

use std::collections::BTreeSet;

use crate::error::{did_you_mean, quote};
use crate::report::between::shown;
use crate::report::words::{counted, time};
use crate::telemetry::choice::Instant;
use crate::traces::Foreign;

use super::Wanted;
use super::line::{self, OfResource};
use super::series::process;
use super::timeline::Instants;
use super::window::{Place, Window};

/// Names of services, of metrics and of attributes that are kept, to name the nearest.
const KEPT: usize = 1_000;

/// What a file has.
#[derive(Debug, Default)]
pub struct Census {
    /// Of all points, so that rates do not depend on what is asked for.
    pub instants: Instants,
    services: Names,
    metrics: Names,
    attributes: Names,
    /// Lines of OTLP, and others.
    pub lines: u64,
    pub strange: u64,
    /// What the first of the others is.
    pub first: Option<Foreign>,
    has_metrics: bool,
    window: Window,
    /// The first and the last point of the file, in the window or not, and when its first series began.
    range: Option<(u64, u64)>,
    start: Option<u64>,
    /// Of each attribute that is asked for, whether it is there.
    has_attributes: Vec<bool>,
}

/// Names of one kind.
#[derive(Debug, Default)]
struct Names {
    kept: BTreeSet<String>,
    /// Whether one is what is asked for; else it may be a part of one.
    is_met: bool,
}

impl Names {
    fn add(&mut self, name: &str, wanted: Option<&String>) {
        self.is_met |= wanted.is_some_and(|wanted| wanted == name);
        if self.kept.len() < KEPT && !self.kept.contains(name) {
            self.kept.insert(name.to_owned());
        }
    }

    fn filter<'a>(&self, wanted: Option<&'a String>) -> Filter<'a> {
        Filter { wanted: wanted.map(String::as_str), is_whole: self.is_met }
    }

    fn near(&self, wanted: &str, what: &str) -> String {
        did_you_mean(wanted, what, self.kept.iter().map(String::as_str))
    }
}

/// Which names are taken: the one of this text; where there is none, all that have it in them.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a> {
    wanted: Option<&'a str>,
    is_whole: bool,
}

impl Filter<'_> {
    pub fn takes(&self, name: &str) -> bool {
        self.wanted.is_none_or(|wanted| name == wanted || !self.is_whole && name.contains(wanted))
    }
}

impl Census {
    /// Of what is in this window.
    pub fn new(window: Window) -> Self {
        Self { window, ..Self::default() }
    }

    pub fn add(&mut self, text: &str, wanted: &Wanted) {
        let Some(resources) = line::line(text) else {
            self.first.get_or_insert_with(|| Foreign::of(text));
            self.strange += 1;
            return;
        };
        self.lines += 1;
        self.has_attributes.resize(wanted.by.len(), false);
        resources.iter().for_each(|resource| self.add_resource(resource, wanted));
    }

    fn add_resource(&mut self, resource: &OfResource, wanted: &Wanted) {
        let process = process(resource);
        self.services.add(&resource.service(), wanted.service.as_ref());
        if !wanted.by.is_empty() {
            resource.keys().for_each(|key| self.add_attribute(key, wanted));
        }
        for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            self.has_metrics = true;
            self.metrics.add(&metric.name, wanted.metric.as_ref());
            for point in metric.points() {
                self.place(process, point.start(), point.time());
                if !wanted.by.is_empty() {
                    point.keys().for_each(|key| self.add_attribute(key, wanted));
                }
            }
        }
    }

    fn place(&mut self, process: u64, start: u64, time: u64) {
        // Not known: no collection was in 1970.
        if time == 0 {
            return;
        }
        let (first, last) = self.range.unwrap_or((time, time));
        self.range = Some((first.min(time), last.max(time)));
        if start > 0 && start <= time {
            self.start = Some(self.start.map_or(start, |first| first.min(start)));
        }
        match self.window.place(time) {
            Place::Before => self.instants.begin(process, time),
            Place::Within => self.instants.add(process, start, time),
            Place::After => {}
        }
    }

    /// Where the collections of the file are, if it has some and none of them is in the window.
    pub fn beside(&self) -> Option<String> {
        let (first, last) = self.range.filter(|_| self.instants.is_empty())?;
        let start = self.start.unwrap_or(first);
        let after = |at: u64| time(at.saturating_sub(start));
        let at = shown(Instant::At(start));
        Some(match first == last {
            true => format!("its collection is {} after its start, {at}", after(first)),
            false => {
                format!("its collections are from {} to {} after its start, {at}", after(first), after(last))
            }
        })
    }

    fn add_attribute(&mut self, key: &str, wanted: &Wanted) {
        self.attributes.add(key, None);
        for (has, _) in self.has_attributes.iter_mut().zip(&wanted.by).filter(|(_, by)| *by == key) {
            *has = true;
        }
    }

    /// Which services are wanted, and which metrics.
    pub fn filters<'a>(&self, wanted: &'a Wanted) -> (Filter<'a>, Filter<'a>) {
        (self.services.filter(wanted.service.as_ref()), self.metrics.filter(wanted.metric.as_ref()))
    }

    /// What is asked for and is not there, and what is near it.
    pub fn unknown(&self, wanted: &Wanted, has_service: bool, has_metric: bool) -> Option<(String, String)> {
        if !self.has_metrics {
            return None;
        }
        if let Some(service) = wanted.service.as_ref().filter(|_| !has_service) {
            let what = format!("no service of the file has {} in its name", quote(service));
            return Some((what, self.services.near(service, "services")));
        }
        if let Some(metric) = wanted.metric.as_ref().filter(|_| !has_metric) {
            let of = wanted.service.as_ref().map(|service| format!(" of {}", quote(service)));
            let of = of.unwrap_or_default();
            let what = format!("no metric{of} has {} in its name", quote(metric));
            return Some((what, self.metrics.near(metric, "metrics")));
        }
        let missing = wanted.by.iter().zip(&self.has_attributes).find(|(_, has)| !**has);
        missing.map(|(by, _)| {
            let what = format!("no data point and no resource of the file has the attribute {}", quote(by));
            (what, self.attributes.near(by, "attributes"))
        })
    }

    /// What else is to be said of the file: a sentence each.
    pub fn notes(&self) -> Vec<String> {
        let none = match self.lines + self.strange {
            0 => "the file is empty",
            _ => "no line of the file has metrics: OTEL_METRICS_EXPORTER=none leaves them out of --out",
        };
        let strange = (self.strange > 0)
            .then(|| format!("{} left out: no OTLP as JSON", counted(self.strange, "line")));
        (!self.has_metrics).then(|| none.to_owned()).into_iter().chain(strange).collect()
    }
}
