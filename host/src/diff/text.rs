//! A difference as a person reads it: the answer first, then where it comes from.

use std::fmt::Write as _;

use crate::error::{INFALLIBLE, printable, wrap};
use crate::report::words::{count, counted, percent, time};
use crate::report::{Numbers, ServiceRow};
use crate::telemetry::console::Style;
use crate::telemetry::console::text::{safe, width};

use super::largest::Largest;
use super::matching::{Changed, Traces};
use super::shift::{Shift, Spans};
use super::table::{Table, arrow, by, signed, two_lines};
use super::{Difference, Side, behind};

/// Kinds of span that ended too late, and are named.
const NAMED: usize = 3;

impl Difference {
    /// All of it, with the trace drawn in this style. Its colours are the only escapes in it.
    pub fn text(&self, style: Style) -> String {
        let mut text = printable(&self.words(style));
        if let Some(largest) = self.largest.as_ref().filter(|_| self.differs) {
            largest.text(&mut text, style);
        }
        text
    }

    /// All but the trace.
    fn words(&self, style: Style) -> String {
        let mut text = String::new();
        self.headline(&mut text);
        self.traces.text(&mut text, &self.spans);
        self.about(&mut text, style);
        let mut text = wrap(&text, style.columns());
        if !self.differs {
            return text;
        }
        requests(&mut text, ["load", "load"], &self.loads, style);
        requests(&mut text, ["route", "route"], &self.routes, style);
        workers(&mut text, &self.services, style);
        failed_calls(&mut text, &self.links, style);
        behind::write(&mut text, self, style);
        own_times(&mut text, &self.spans, style);
        text
    }

    /// The answer in a sentence: what those notice who send the requests.
    fn headline(&self, text: &mut String) {
        let mut letters = self.change.chars();
        let capital: String = letters.next().iter().flat_map(|first| first.to_uppercase()).collect();
        let noticed = self.loads.iter().chain(&self.routes).find(|shift| shift.is_changed());
        let answer = match noticed {
            None if !self.differs => "no difference".to_owned(),
            None => {
                let group = self.groups.iter().find(|shift| shift.is_changed());
                let said = group.map_or_else(String::new, |shift| format!("; {}", behind::sentence(shift)));
                format!("no request is answered differently{said}")
            }
            Some(shift) => sentence(shift),
        };
        writeln!(text, "{capital}{}: {answer}.", letters.as_str()).expect(INFALLIBLE);
    }

    /// What was compared.
    fn about(&self, text: &mut String, style: Style) {
        let about = |side: &Side| {
            let requests = counted(side.requests, "request");
            format!("{}, {requests}, {} simulated", side.topology, time(side.simulated_ns))
        };
        let (before, after) = (about(&self.before), about(&self.after));
        let said = |between: &str| match before == after {
            true => format!("({before}; seed {})", self.seed),
            false => format!("({before};{between}after the change {after}; seed {})", self.seed),
        };
        let line = Some(said(" ")).filter(|line| line.chars().count() <= style.columns());
        writeln!(text, "{}", line.unwrap_or_else(|| said("\n"))).expect(INFALLIBLE);
        for (side, when) in [(&self.before, "before"), (&self.after, "after")] {
            if side.unfinished > 0 {
                let unfinished = counted(side.unfinished, "request");
                writeln!(text, "{unfinished} {when} the change had no answer at the end.").expect(INFALLIBLE);
            }
        }
    }
}

impl Traces {
    fn text(&self, text: &mut String, spans: &[Shift<Spans>]) {
        let Self { matched, identical, differing, .. } = *self;
        let verdict = match matched {
            0 => "The runs have no trace in common.".to_owned(),
            1 if differing == 1 => "The one trace differs.".to_owned(),
            1 => "The one trace is identical.".to_owned(),
            2 if differing == 2 => "Both traces differ.".to_owned(),
            2 if identical == 2 => "Both traces are identical.".to_owned(),
            _ if differing == matched => format!("All {} traces differ.", count(matched)),
            _ if identical == matched => format!("All {} traces are identical.", count(matched)),
            _ => {
                let (differing, matched) = (count(differing), counted(matched, "trace"));
                format!("{differing} of {matched} differ; {} are identical.", count(identical))
            }
        };
        writeln!(text, "{verdict}").expect(INFALLIBLE);
        way(text, &self.slower, "slower");
        way(text, &self.faster, "faster");
        way(text, &self.longer, "take as long, with a last span that ends later");
        way(text, &self.shorter, "take as long, with a last span that ends earlier");
        // Requests begin traces, and so do runs of jobs and messages.
        let counts = [
            (self.newly_failed, "fail after the change and did not before"),
            (self.newly_succeeded, "failed before the change and no longer do"),
            (self.moved, "of the identical ones begin at another time"),
            (self.only_before, "more in the run before the change alone: nothing begins them after it"),
            (self.only_after, "more in the run after the change alone: nothing began them before it"),
            (self.unmatched, "more were too many to be matched"),
        ];
        for (number, what) in counts.into_iter().filter(|(number, _)| *number > 0) {
            writeln!(text, "  {} {what}", count(number)).expect(INFALLIBLE);
        }
        if self.late_spans > 0 {
            let late = counted(self.late_spans, "span");
            let untold: Vec<_> = spans.iter().filter(|shift| shift.is_untold()).map(who).collect();
            let named = match &untold[..] {
                [] => String::new(),
                names if names.len() <= NAMED => {
                    format!(", among them all of a run: {}", names.join(", "))
                }
                names => {
                    let (more, names) = (names.len() - NAMED, names[..NAMED].join(", "));
                    format!(", among them all of a run: {names} and {} more", counted(more as u64, "kind"))
                }
            };
            writeln!(text, "  {late} ended too late for their own time to be counted{named}")
                .expect(INFALLIBLE);
        }
    }
}

/// How many traces, in which way, and by how much.
fn way(text: &mut String, way: &Changed, word: &str) {
    let (number, half, most) = (count(way.count), time(way.p50_ns), time(way.max_ns));
    match way.count {
        0 => return,
        _ if way.p50_ns == way.max_ns => writeln!(text, "  {number} {word} by {most}"),
        _ => writeln!(text, "  {number} {word}: half of them by {half} or more, at most by {most}"),
    }
    .expect(INFALLIBLE);
}

/// `POST /orders p95 412ms → 61ms (−85%), errors 1.2% → 0%`.
fn sentence(shift: &Shift<Numbers>) -> String {
    let name = shift.name.clone().unwrap_or_else(|| format!("load {}", shift.of));
    let [before, after] = shift.numbers();
    if shift.before.is_none() {
        return format!("{name} is asked {} times and was not before", count(after.count));
    }
    if shift.after.is_none() {
        return format!("{name} was asked {} times and is no longer", count(before.count));
    }
    let mut said = format!("{name} p95 {}", arrow(time(before.p95_ns), time(after.p95_ns)));
    if time(before.p95_ns) == time(after.p95_ns) {
        said.push_str(" as before");
    } else if let Some(by) = by(before.p95_ns, after.p95_ns) {
        write!(said, " ({by})").expect(INFALLIBLE);
    }
    if before.errors != after.errors {
        write!(said, ", errors {}", failed(&before, &after)).expect(INFALLIBLE);
    }
    if before.count != after.count {
        write!(said, ", requests {}", arrow(count(before.count), count(after.count))).expect(INFALLIBLE);
    }
    said
}

/// The shares of requests that failed.
fn failed(before: &Numbers, after: &Numbers) -> String {
    let share = |numbers: &Numbers| match numbers.count {
        0 => percent(0.0),
        all => percent(numbers.errors as f64 / all as f64),
    };
    arrow(share(before), share(after))
}

fn requests(text: &mut String, [head, noun]: [&str; 2], shifts: &[Shift<Numbers>], style: Style) {
    let (changed, same): (Vec<_>, Vec<_>) = shifts.iter().partition(|shift| shift.is_changed());
    let mut table = Table::new([head, "count", "errors", "p50", "p95", "p99"]);
    for shift in &changed {
        let [before, after] = shift.numbers();
        let counts = arrow(count(before.count), count(after.count));
        let quantiles =
            [(before.p50_ns, after.p50_ns), (before.p95_ns, after.p95_ns), (before.p99_ns, after.p99_ns)];
        let [p50, p95, p99] = quantiles.map(|(earlier, later)| match (&shift.before, &shift.after) {
            (Some(_), Some(_)) => two_lines(earlier, later),
            (None, _) => time(later),
            (_, None) => time(earlier),
        });
        table.row([who(shift), counts, failed(&before, &after), p50, p95, p99]);
    }
    table.write(text, noun, same.len(), style);
}

/// Services whose workers or queue have more or less to do.
fn workers(text: &mut String, shifts: &[Shift<ServiceRow>], style: Style) {
    let waits = |shift: &&Shift<ServiceRow>| {
        let waited = |row: &Option<ServiceRow>| row.as_ref().map_or(0, |row| row.waited);
        waited(&shift.before) + waited(&shift.after) > 0
    };
    let changed: Vec<_> = shifts.iter().filter(|shift| shift.is_changed()).filter(waits).collect();
    let mut table = Table::new(["service", "workers in use", "had to wait", "wait p99", "longest wait"]);
    for shift in changed {
        let each = |row: &Option<ServiceRow>| match row {
            Some(row) => {
                let times = [row.wait_p99_ns, row.wait_max_ns].map(time);
                let [p99, max] = times;
                [percent(row.utilisation), count(row.waited), p99, max]
            }
            None => ["-"; 4].map(str::to_owned),
        };
        let (before, after) = (each(&shift.before), each(&shift.after));
        let [used, waited, p99, max] = std::array::from_fn(|at| arrow(before[at].clone(), after[at].clone()));
        table.row([who(shift), used, waited, p99, max]);
    }
    table.write(text, "service", 0, style);
}

/// Links whose calls fail more or less often than before.
fn failed_calls(text: &mut String, shifts: &[Shift<Numbers>], style: Style) {
    let mut table = Table::new(["calls", "count", "errors", "of type"]);
    for shift in shifts {
        let [before, after] = shift.numbers();
        if before.errors_by_type == after.errors_by_type {
            continue;
        }
        let types: Vec<_> = before.errors_by_type.keys().chain(after.errors_by_type.keys()).collect();
        let mut kinds: Vec<_> = types.iter().map(|kind| kind.as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let number = |numbers: &Numbers, kind| count(numbers.errors_by_type.get(kind).copied().unwrap_or(0));
        let kinds: Vec<_> = kinds
            .iter()
            .map(|kind| format!("{kind} {}", arrow(number(&before, *kind), number(&after, *kind))))
            .collect();
        let counts = arrow(count(before.count), count(after.count));
        table.row([who(shift), counts, failed(&before, &after), kinds.join("\n")]);
    }
    table.write(text, "link", 0, style);
}

fn own_times(text: &mut String, shifts: &[Shift<Spans>], style: Style) {
    // Of what ended too late in a run there is nothing to compare.
    let told = || shifts.iter().filter(|shift| !shift.is_untold());
    let whole: u128 = told().map(|shift| shift.per_trace().unsigned_abs()).sum();
    // That there are more or fewer of them, the routes say already.
    let (changed, same): (Vec<_>, Vec<_>) =
        told().partition(|shift| shift.per_trace() != 0 || shift.before.is_none() || shift.after.is_none());
    let mut table = Table::new(["own time of", "count", "each", "per trace", "share"]);
    let none = Spans::default();
    for shift in &changed {
        let side = |side: &Option<Spans>| side.clone().unwrap_or_else(|| none.clone());
        let (before, after) = (side(&shift.before), side(&shift.after));
        let share = match whole {
            0 => 0.0,
            whole => shift.per_trace().unsigned_abs() as f64 / whole as f64,
        };
        table.row([
            who(shift),
            arrow(count(before.count), count(after.count)),
            arrow(time(before.own_mean_ns), time(after.own_mean_ns)),
            signed(before.own_per_trace_ns, after.own_per_trace_ns),
            // More digits would say nothing.
            percent((share * 100.0).round() / 100.0),
        ]);
    }
    table.write(text, "kind of span", same.len(), style);
}

fn who<T>(shift: &Shift<T>) -> String {
    match &shift.name {
        Some(name) => format!("{} {name}", shift.of),
        None => shift.of.clone(),
    }
}

impl Largest {
    fn text(&self, text: &mut String, style: Style) {
        let (before, after) = (self.before.duration_ns, self.after.duration_ns);
        let mut said = arrow(time(before), time(after));
        if before != after {
            write!(said, " ({})", signed(before, after)).expect(INFALLIBLE);
        }
        let head = format!("The trace that changed most: {}", self.trace_id);
        let name = safe(self.name(), style.unicode);
        let line = format!("{head}  {name}  {said}");
        let fits = width(&line) <= style.columns();
        let line = if fits { line } else { format!("{head}\n  {name}  {said}") };
        writeln!(text, "\n{line}").expect(INFALLIBLE);
        let lasted = [self.before.lasted_ns, self.after.lasted_ns];
        if lasted != [before, after] && lasted[0] != lasted[1] {
            let both = arrow(time(lasted[0]), time(lasted[1]));
            writeln!(text, "{both} ({}) until its last span ended", signed(lasted[0], lasted[1]))
                .expect(INFALLIBLE);
        }
        let waited = [self.before.waited_ns, self.after.waited_ns];
        if waited != [0, 0] {
            let both = arrow(time(waited[0]), time(waited[1]));
            let by = signed(waited[0], waited[1]);
            let line = format!("waited {both} ({by}) before its first span: for a worker, or in the client");
            writeln!(text, "{line}").expect(INFALLIBLE);
        }
        text.push_str(&self.draw(style));
        if self.lost() > 0 {
            writeln!(text, "{} of it were not kept", counted(self.lost(), "span")).expect(INFALLIBLE);
        }
    }
}
