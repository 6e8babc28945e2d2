//! Metrics as text, for people: a line for each data point, when it is collected.
//!
//! ```text
//! 2026-01-01T00:01:00.000Z [order-service] orders +17  http.route=/orders
//! 2026-01-01T00:01:00.000Z [order-service] queue.wait 1,204 values, mean 36.7ms, 4.1ms to 92ms
//! ```

use std::fmt::Write as _;
use std::io::{ErrorKind, Write};
use std::sync::Arc;

use tokio::time::Instant;

use super::quantity::measured;
use super::style::Style;
use super::text::{grouped, moment, safe, shorten};
use crate::error::INFALLIBLE;
use crate::telemetry::exporter::{Account, Exporter};
use crate::telemetry::record::{KeyValue, MetricRecord, Number, Points, Resource, Summary, Temporality};
use crate::telemetry::signal::{Batch, Signal, Signals};

/// Columns of the attributes of a point; longer ones lose their middle. A guest gives them.
const ATTRIBUTES: usize = 200;

/// Columns of a name, which a guest may give too.
const NAME: usize = 100;

/// Writes data points to `out` as they come.
pub struct PointLines<W> {
    /// None once a write has failed: nobody reads any more, and the run goes on without.
    out: Option<W>,
    style: Style,
    account: Arc<Account>,
}

impl<W> PointLines<W> {
    pub fn new(out: W, style: Style) -> Self {
        Self { out: Some(out), style, account: Account::new("console metrics") }
    }

    fn lines(&self, metric: &MetricRecord, resource: &Resource) -> String {
        let style = self.style;
        let ellipsis = style.glyphs().ellipsis;
        let short = |text: &str, columns| shorten(&safe(text, style.unicode), columns, ellipsis);
        let name = short(&metric.instrument.name, NAME);
        let head = format!(
            "{} [{}] {name}",
            moment(metric.time).unwrap_or_default(),
            safe(&resource.service, style.unicode)
        );
        let unit = &*safe(&metric.instrument.unit, style.unicode);
        let mut text = String::new();
        let mut line = |value: String, attributes: &[KeyValue]| {
            let pairs: Vec<_> = attributes.iter().map(|of| format!("{}={}", &*of.key, of.value)).collect();
            let line = format!("{head} {value}  {}", short(&pairs.join(" "), ATTRIBUTES));
            writeln!(text, "{}", line.trim_end()).expect(INFALLIBLE);
        };
        match &metric.points {
            Points::Gauge(points) => {
                points.iter().for_each(|point| line(number(point.value, unit), &point.attributes));
            }
            Points::Sum { points, temporality, .. } => points
                .iter()
                .for_each(|point| line(sign(*temporality) + &number(point.value, unit), &point.attributes)),
            Points::Histogram { points, temporality } => points
                .iter()
                .for_each(|point| line(values(point.summary, *temporality, unit), &point.attributes)),
            Points::ExponentialHistogram { points, temporality } => points
                .iter()
                .for_each(|point| line(values(point.summary, *temporality, unit), &point.attributes)),
        }
        text
    }
}

/// What has come since the last time is told from what there is.
fn sign(temporality: Temporality) -> String {
    match temporality {
        Temporality::Delta => "+".to_owned(),
        Temporality::Cumulative => String::new(),
    }
}

fn number(value: Number, unit: &str) -> String {
    match value {
        Number::Int(value) => measured(value as f64, unit),
        Number::Float(value) => measured(value, unit),
    }
}

/// `1,204 values, mean 36.7ms, 4.1ms to 92ms`
fn values(Summary { count, sum, range }: Summary, temporality: Temporality, unit: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    let mut text = format!("{}{} value{plural}", sign(temporality), grouped(count));
    if let Some(sum) = sum.filter(|_| count > 0) {
        write!(text, ", mean {}", measured(sum / count as f64, unit)).expect(INFALLIBLE);
    }
    if let Some((least, most)) = range {
        write!(text, ", {} to {}", measured(least, unit), measured(most, unit)).expect(INFALLIBLE);
    }
    text
}

impl<W: Write + Send> Exporter for PointLines<W> {
    fn name(&self) -> &str {
        "console metrics"
    }

    fn takes(&self) -> Signals {
        Signals::of(&[Signal::Metrics])
    }

    fn export(&mut self, batch: &Batch, resources: &[Resource]) {
        let lines =
            batch.metrics.iter().map(|metric| self.lines(metric, &resources[metric.resource.0 as usize]));
        let text: String = lines.collect();
        if let Some(out) = self.out.as_mut().filter(|_| !text.is_empty())
            && let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush())
        {
            self.out = None;
            if error.kind() == ErrorKind::BrokenPipe {
                self.account.read_no_more();
            }
        }
        self.account.exported(batch.count().only(self.takes()));
    }

    /// Between the traces of the same time.
    fn wants_at_once(&self) -> bool {
        true
    }

    fn flush(&mut self, _: Instant) {}

    fn account(&self) -> Arc<Account> {
        Arc::clone(&self.account)
    }
}

impl<W> std::fmt::Debug for PointLines<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PointLines").field("style", &self.style).finish_non_exhaustive()
    }
}
