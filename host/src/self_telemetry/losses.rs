//! What of it the receiver did not take. The SDK does not tell.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::ENDS_WITHIN;
use crate::clock;

/// What the receiver has not taken, when it is too late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsent {
    pub spans: u64,
    /// The last values of the metrics. Those before them are in the last, which add up.
    pub metrics: bool,
    /// The last that went wrong.
    pub why: String,
}

/// The account of its spans and metrics.
#[derive(Debug, Default)]
pub struct Losses {
    /// Whether spans go anywhere.
    spans: AtomicBool,
    ended: AtomicU64,
    exported: AtomicU64,
    trouble: Mutex<Option<String>>,
}

impl Losses {
    pub fn expect_spans(&self) {
        self.spans.store(true, Ordering::Relaxed);
    }

    pub fn span_ended(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    fn trouble(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, result: &OTelSdkResult) {
        if let Err(error) = result {
            *self.trouble() = Some(error.to_string());
        }
    }

    /// What is missing, given how the SDK's shutdown has ended; none is late.
    pub fn unsent(&self, spans: &Option<OTelSdkResult>, metrics: &Option<OTelSdkResult>) -> Option<Unsent> {
        let missing =
            self.ended.load(Ordering::Relaxed).saturating_sub(self.exported.load(Ordering::Relaxed));
        let lost = if self.spans.load(Ordering::Relaxed) { missing } else { 0 };
        let unsent = metrics.as_ref().is_none_or(Result::is_err);
        if lost == 0 && !unsent {
            return None;
        }
        let late = || format!("no answer within {}", clock::show(clock::nanos(ENDS_WITHIN)));
        let told = [spans, metrics].into_iter().flatten().find_map(|result| result.as_ref().err());
        let why = self.trouble().take().or_else(|| told.map(ToString::to_string)).unwrap_or_else(late);
        Some(Unsent { spans: lost, metrics: unsent, why })
    }
}

/// An exporter whose results are counted.
#[derive(Debug)]
pub struct CountingExporter<E> {
    exporter: E,
    losses: Arc<Losses>,
}

impl<E> CountingExporter<E> {
    pub fn new(exporter: E, losses: &Arc<Losses>) -> Self {
        Self { exporter, losses: Arc::clone(losses) }
    }
}

impl<E: SpanExporter> SpanExporter for CountingExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let result = self.exporter.export(batch).await;
        self.losses.note(&result);
        if result.is_ok() {
            self.losses.exported.fetch_add(spans, Ordering::Relaxed);
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for CountingExporter<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.exporter.export(metrics).await;
        self.losses.note(&result);
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
