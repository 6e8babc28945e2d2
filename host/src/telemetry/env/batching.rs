//! How records are gathered: `OTEL_BSP_*` for spans, `OTEL_BLRP_*` for log records, and
//! `OTEL_METRIC_EXPORT_TIMEOUT`.

use super::reader::Reader;
use crate::telemetry::pipeline::{Batching, METRIC_QUEUE};
use crate::telemetry::signal::{PerSignal, Signal};

/// The variables of a batch processor.
struct Names {
    delay: &'static str,
    timeout: &'static str,
    queue: &'static str,
    batch: &'static str,
}

const SPANS: Names = Names {
    delay: "OTEL_BSP_SCHEDULE_DELAY",
    timeout: "OTEL_BSP_EXPORT_TIMEOUT",
    queue: "OTEL_BSP_MAX_QUEUE_SIZE",
    batch: "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
};

const LOGS: Names = Names {
    delay: "OTEL_BLRP_SCHEDULE_DELAY",
    timeout: "OTEL_BLRP_EXPORT_TIMEOUT",
    queue: "OTEL_BLRP_MAX_QUEUE_SIZE",
    batch: "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
};

/// Those of all signals. Where the variables of log records and metrics are not set, what those of spans
/// say holds for them: they have one pipeline, and one wait for receivers at its end.
pub fn read(reader: &mut Reader<'_>) -> PerSignal<Batching> {
    let spans = of(reader, &SPANS, Batching::default());
    let logs = of(reader, &LOGS, spans);
    let timeout = reader.milliseconds("OTEL_METRIC_EXPORT_TIMEOUT", 1).unwrap_or(spans.timeout);
    let metrics = Batching { queue: METRIC_QUEUE, timeout, ..spans };
    PerSignal::from_fn(|signal| match signal {
        Signal::Traces => spans,
        Signal::Logs => logs,
        Signal::Metrics => metrics,
    })
}

fn of(reader: &mut Reader<'_>, names: &Names, default: Batching) -> Batching {
    let delay = reader.milliseconds(names.delay, 0).unwrap_or(default.delay);
    let timeout = reader.milliseconds(names.timeout, 1).unwrap_or(default.timeout);
    let queue = reader.number(names.queue, 1).map_or(default.queue, |queue| queue as usize);
    let batch = match reader.number(names.batch, 1).map(|batch| batch as usize) {
        // "It must be less or equal to OTEL_BSP_MAX_QUEUE_SIZE."
        Some(batch) if batch > queue => {
            reader.refuse(names.batch, &batch.to_string(), &format!("at most {}, {queue}", names.queue));
            queue
        }
        Some(batch) => batch,
        None => default.batch.min(queue),
    };
    Batching { delay, queue, batch, timeout }
}
