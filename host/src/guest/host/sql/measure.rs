//! What is measured of statements and of pools.

use std::rc::Rc;
use std::sync::Arc;

use opentelemetry_semantic_conventions::attribute;

use super::Local;
use super::span::{Asker, Operation, SYSTEM, namespace};
use crate::database::{Live, PoolEvent, PoolObserver};
use crate::metrics::{Metrics, Operated, OperationKey, Origin, PoolOf, Server};
use crate::model::Nanos;
use crate::telemetry::record::{KeyValue, ResourceId, Text};

/// Measures the pool of a process.
struct Observer {
    metrics: Rc<Metrics>,
    of: ResourceId,
    database: u32,
    name: String,
    most: u32,
}

impl PoolObserver for Observer {
    fn noted(&self, event: PoolEvent) {
        let Self { metrics, of, database, name, most } = self;
        let pool = PoolOf { database: *database, name, most: *most };
        metrics.pooled(metrics.incarnation(*of), pool, event);
    }
}

impl Local {
    /// Who measures a pool that may have `most` connections; none without metrics.
    pub(super) fn observer(&self, live: &Live, most: u32) -> Option<Box<dyn PoolObserver>> {
        let metrics = Rc::clone(self.host.metrics.as_ref()?);
        let (database, name) = (live.number, live.settings.name.clone());
        Some(Box::new(Observer { metrics, of: self.identity.resource, database, name, most }))
    }
}

impl Asker {
    /// Measures an operation that has ended, with the rows of its result if it gives any.
    pub(super) fn measure(
        &self,
        live: &Live,
        operation: Operation<'_>,
        error: Option<&'static str>,
        (began, ended): (Nanos, Nanos),
        rows: Option<usize>,
    ) {
        let (Some(metrics), Some(process)) = (&self.host.metrics, self.process) else { return };
        let number = live.summary(operation.text());
        let key = OperationKey { server: Server::Database(live.number), operation: number, error };
        let attributes = || {
            let mut own = vec![
                KeyValue::new(attribute::DB_SYSTEM_NAME, SYSTEM),
                KeyValue::new(attribute::DB_NAMESPACE, namespace(live)),
            ];
            // What is beyond the summaries that are told apart has none.
            own.extend(operation.attribute().filter(|_| number != u32::MAX));
            own.push(KeyValue::new(attribute::SERVER_ADDRESS, Text::Owned(live.settings.name.clone())));
            if let Some(error) = error {
                own.push(KeyValue::new(attribute::DB_RESPONSE_STATUS_CODE, error));
                own.push(KeyValue::new(attribute::ERROR_TYPE, error));
            }
            Arc::from(own)
        };
        let origin = Origin { time: ended, ..self.origin };
        let rows = rows.map(|rows| rows as u64);
        metrics.operated(process, key, attributes, Operated { took: ended - began, rows, origin });
    }
}
