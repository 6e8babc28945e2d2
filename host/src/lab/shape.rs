//! What checks find in the spans of a run: which there are, how they lie to one another, what takes the time
//! of a route, which traces are kept.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::context::{SpanId, TraceId};
use crate::telemetry::record::{SpanKind, SpanRecord};

use super::cell::{Ran, SPANS_AT_MOST};
use super::finding::{Finding, judged, undivided};
use super::manifest::{Ask, Bound, CriticalPath, Sampled, Selector, matches};
use super::measure::{Metric, Unit};
use super::path::Trace;

/// Traces about the median that a critical path is the sum of.
const ABOUT_THE_MEDIAN: usize = 21;

/// A check of spans.
pub fn spans(ran: &Ran, of: &Selector, ask: &Ask) -> Finding {
    if let Some(finding) = too_many(ran) {
        return finding;
    }
    let selected: Vec<_> = ran.spans.iter().filter(|span| of.takes(span, &ran.resources)).collect();
    if let Ask::Count { per, bound } = ask {
        let count = selected.len() as f64;
        let what = format!("the number of {of}");
        let finding = match per {
            None => judged(Some(count), Unit::Plain, bound, &what),
            Some(per) => {
                let what = format!("{what} per {}", per.written());
                match Metric::of(per, &ran.report).filter(|number| *number != 0.0) {
                    Some(number) => judged(Some(count / number), Unit::Plain, bound, &what),
                    None => undivided(bound, &what, per.written()),
                }
            }
        };
        return Finding { trace: selected.first().map(|span| span.trace_id), ..finding };
    }
    let want = wanted(ask);
    if selected.is_empty() {
        return Finding::failed(None, want, format!("the run has no {of}: there is nothing to judge"));
    }
    let all = Index::new(&ran.spans);
    let bad: Vec<_> = selected.iter().filter(|span| !holds(span, ask, &all, ran)).collect();
    let Some(first) = bad.first() else { return Finding::passed(format!("{of} {want}"), want) };
    let (bad, all) = (bad.len(), selected.len());
    let got = format!("{bad} of {all} {}", otherwise(ask));
    let message = format!("not all {of} {want}: {got}. One is in trace {}", first.trace_id);
    Finding { trace: Some(first.trace_id), ..Finding::failed(Some(got), want, message) }
}

/// The finding where not all spans of a run were kept.
fn too_many(ran: &Ran) -> Option<Finding> {
    (ran.lost > 0).then(|| {
        let want = format!("at most {SPANS_AT_MOST} spans");
        let message =
            format!("the run makes more than {SPANS_AT_MOST} spans: are there far more calls than before?");
        Finding::failed(None, want, message)
    })
}

fn wanted(ask: &Ask) -> String {
    match ask {
        Ask::Count { .. } => String::new(),
        Ask::Attribute { name, value: Some(value) } => format!("have {name} = {value}"),
        Ask::Attribute { name, value: None } => format!("have the attribute {name}"),
        Ask::ChildOf(parent) => format!("are children of {parent}"),
        Ask::LinkedTo(other) => format!("have a link to {other}"),
        Ask::SameTrace(other) => format!("have {other} in their trace"),
        Ask::After(other) => format!("start after the end of {other}"),
        Ask::WithinParent => "start and end within their parents".to_owned(),
        Ask::NoOrphans => "have a parent that is recorded".to_owned(),
    }
}

/// What those do that are not as it is wanted.
fn otherwise(ask: &Ask) -> String {
    match ask {
        Ask::Count { .. } => String::new(),
        Ask::Attribute { value: Some(_), .. } => "have another value, or none".to_owned(),
        Ask::Attribute { value: None, .. } => "have none".to_owned(),
        Ask::ChildOf(_) => "are children of others".to_owned(),
        Ask::LinkedTo(_) => "have no such link".to_owned(),
        Ask::SameTrace(_) => "have none in their trace".to_owned(),
        Ask::After(other) => format!("start before the end of {other}"),
        Ask::WithinParent => "reach beyond their parents".to_owned(),
        Ask::NoOrphans => "have a parent that is not recorded".to_owned(),
    }
}

/// Spans by what others refer to them by.
struct Index<'a> {
    by_id: FxHashMap<(TraceId, SpanId), &'a SpanRecord>,
    by_parent: FxHashMap<(TraceId, SpanId), Vec<&'a SpanRecord>>,
    by_trace: FxHashMap<TraceId, Vec<&'a SpanRecord>>,
}

impl<'a> Index<'a> {
    fn new(spans: &'a [SpanRecord]) -> Self {
        let mut index =
            Self { by_id: Default::default(), by_parent: Default::default(), by_trace: Default::default() };
        for span in spans {
            index.by_id.insert((span.trace_id, span.span_id), span);
            index.by_trace.entry(span.trace_id).or_default().push(span);
            if let Some(parent) = span.parent {
                index.by_parent.entry((span.trace_id, parent)).or_default().push(span);
            }
        }
        index
    }

    fn parent(&self, span: &SpanRecord) -> Option<&'a SpanRecord> {
        self.by_id.get(&(span.trace_id, span.parent?)).copied()
    }
}

fn holds(span: &SpanRecord, ask: &Ask, all: &Index<'_>, ran: &Ran) -> bool {
    let takes = |of: &Selector, span: &SpanRecord| of.takes(span, &ran.resources);
    match ask {
        Ask::Count { .. } => true,
        Ask::Attribute { name, value } => span
            .attributes
            .get(name)
            .is_some_and(|found| value.as_ref().is_none_or(|value| matches(value, &found.to_string()))),
        Ask::ChildOf(of) => all.parent(span).is_some_and(|parent| takes(of, parent)),
        Ask::LinkedTo(of) => span
            .links
            .iter()
            .any(|link| all.by_id.get(&(link.trace_id, link.span_id)).is_some_and(|other| takes(of, other))),
        Ask::SameTrace(of) => {
            all.by_trace.get(&span.trace_id).is_some_and(|spans| spans.iter().any(|other| takes(of, other)))
        }
        Ask::After(of) => {
            let siblings = span.parent.and_then(|parent| all.by_parent.get(&(span.trace_id, parent)));
            let mut others = siblings.into_iter().flatten().filter(|other| takes(of, other));
            others.all(|other| span.start >= other.end)
        }
        Ask::WithinParent => match all.parent(span) {
            Some(parent) => span.start >= parent.start && span.end <= parent.end,
            None => span.parent.is_none(),
        },
        Ask::NoOrphans => span.parent.is_none() || all.parent(span).is_some(),
    }
}

/// A check of the critical path of a route.
pub fn critical_path(ran: &Ran, check: &CriticalPath) -> Finding {
    if let Some(finding) = too_many(ran) {
        return finding;
    }
    let mut roots: Vec<_> = ran
        .spans
        .iter()
        .filter(|span| {
            span.kind == SpanKind::Server
                && *ran.resources[span.resource.0 as usize].service == *check.service
                && *span.name == *check.route
        })
        .collect();
    let want = wanted_path(check);
    if roots.is_empty() {
        let what = format!("no request came to {} {}", check.service, check.route);
        return Finding::failed(None, want, what);
    }
    roots.sort_by_key(|span| (span.end - span.start, span.start));
    let from = (roots.len() / 2).saturating_sub(ABOUT_THE_MEDIAN / 2);
    let about = &roots[from..(from + ABOUT_THE_MEDIAN).min(roots.len())];
    let median = roots[roots.len() / 2].trace_id;
    let shares = shares(ran, about.iter().map(|span| span.trace_id).collect());
    let is_on = |name: &str| shares.get(name).is_some_and(|share| *share >= check.share);
    let missing = check.has.iter().filter(|name| !is_on(name)).map(|name| format!("{name} is not on it"));
    let extra = check.has_not.iter().filter(|name| is_on(name)).map(|name| format!("{name} is on it"));
    let beyond = check.of.iter().filter_map(|(name, bound)| {
        let share = shares.get(name.as_str()).copied().unwrap_or(0.0);
        let (unit, words) = (Unit::Share, bound.words(Unit::Share));
        (!Bound::holds(bound, share)).then(|| format!("{name} has {}; {words} is wanted", unit.show(share)))
    });
    let wrong: Vec<_> = missing.chain(extra).chain(beyond).collect();
    let got = shown(&shares, check.share);
    if wrong.is_empty() {
        return Finding::passed(got, want);
    }
    let message =
        format!("the critical path of {} {}: {}. It has {got}", check.service, check.route, wrong.join("; "));
    Finding { trace: Some(median), ..Finding::failed(Some(got), want, message) }
}

fn wanted_path(check: &CriticalPath) -> String {
    let has = (!check.has.is_empty()).then(|| format!("with {}", check.has.join(", ")));
    let has_not = (!check.has_not.is_empty()).then(|| format!("without {}", check.has_not.join(", ")));
    let of = check.of.as_ref().map(|(name, bound)| format!("{name}: {}", bound.words(Unit::Share)));
    has.into_iter().chain(has_not).chain(of).collect::<Vec<_>>().join("; ")
}

/// The shares of the critical path, by services and by names of spans.
fn shares(ran: &Ran, ids: BTreeSet<TraceId>) -> BTreeMap<&str, f64> {
    let mut traces: BTreeMap<TraceId, Vec<&SpanRecord>> = BTreeMap::new();
    for span in ran.spans.iter().filter(|span| ids.contains(&span.trace_id)) {
        traces.entry(span.trace_id).or_default().push(span);
    }
    let (mut sums, mut all) = (BTreeMap::<&str, f64>::new(), 0.0);
    for (_, spans) in traces {
        let trace = Trace::new(spans);
        for (at, own) in trace.critical() {
            let span = trace.spans[at];
            let service: &str = &ran.resources[span.resource.0 as usize].service;
            let names: BTreeSet<&str> = [service, &*span.name].into_iter().collect();
            names.into_iter().for_each(|name| *sums.entry(name).or_default() += own as f64);
            all += own as f64;
        }
    }
    sums.values_mut().for_each(|sum| *sum /= if all == 0.0 { 1.0 } else { all });
    sums
}

fn shown(shares: &BTreeMap<&str, f64>, least: f64) -> String {
    let mut on: Vec<_> = shares.iter().filter(|(_, share)| **share >= least).collect();
    on.sort_by(|one, other| other.1.total_cmp(one.1));
    let on: Vec<_> = on.iter().map(|(name, share)| format!("{name} {}", Unit::Share.show(**share))).collect();
    on.join(", ")
}

/// A check of which traces the topology's sampling keeps: `kept` is the run with it, `all` the one without.
pub fn sampled(kept: &Ran, all: &Ran, check: &Sampled) -> Finding {
    if let Some(finding) = too_many(all) {
        return finding;
    }
    let every: FxHashSet<_> = all.spans.iter().map(|span| span.trace_id).collect();
    let kept: FxHashSet<_> = kept.spans.iter().map(|span| span.trace_id).collect();
    let matter = all.spans.iter().filter(|span| check.of.takes(span, &all.resources));
    let matter: BTreeSet<_> = matter.map(|span| span.trace_id).collect();
    let lost: Vec<_> = matter.iter().filter(|id| !kept.contains(*id)).collect();
    let part = |some: usize, all: usize| if all == 0 { 1.0 } else { some as f64 / all as f64 };
    let (recall, share) = (part(matter.len() - lost.len(), matter.len()), part(kept.len(), every.len()));
    let show = |share: f64| Unit::Share.show(share);
    let got = format!("{} of the traces that matter, {} of all", show(recall), show(share));
    let most = check.share.map(|most| format!(", at most {} of all", show(most))).unwrap_or_default();
    let want = format!("at least {} of the traces that matter{most}", show(check.recall));
    if recall >= check.recall && check.share.is_none_or(|most| share <= most) {
        return Finding::passed(got, want);
    }
    let trace = lost.first().map(|id| **id).filter(|_| recall < check.recall);
    let message = format!(
        "of the traces with {}, {} are kept, and of all traces {}; {want} is wanted",
        check.of,
        show(recall),
        show(share)
    );
    Finding { trace, ..Finding::failed(Some(got), want, message) }
}
