//! Where faults of records set: between the guests and the recorder.

use std::ops::Range;
use std::rc::Rc;

use crate::bus::{Node, NodeCode};
use crate::fault::{Ledger, Origin, Records};
use crate::guest::Host;
use crate::model::{Model, ServiceId};
use crate::telemetry::record::ResourceId;
use crate::telemetry::recorder::Editor;

/// The faults of records, if there are any. `resources` are those of replicas and
/// loads; behind them are those that the faults ask for.
pub fn records(
    model: &Model,
    host: &Host,
    ledger: &Rc<Ledger>,
    nodes: &[Node],
    resources: Range<ResourceId>,
) -> Option<Rc<Records>> {
    let mut origins = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let NodeCode::Guest(guest) = &node.code else { continue };
        let released = guest.releases.iter().filter_map(|release| release.set.as_ref());
        for replica in [&guest.set].into_iter().chain(released).flat_map(|set| &set.replicas) {
            let (service, identity) = (ServiceId(index as u32), &replica.identity);
            origins.push(Origin { service, replica: identity.replica, resource: identity.resource });
        }
    }
    let routes = nodes.iter().map(|node| match &node.code {
        NodeCode::Guest(guest) => guest.routes.clone(),
        NodeCode::External => Vec::new(),
    });
    let records = Records::new(model, &host.sched, Rc::clone(ledger), &origins, routes, resources)?;
    host.recorder.edit(Rc::clone(&records) as Rc<dyn Editor>);
    for node in nodes {
        let NodeCode::Guest(guest) = &node.code else { continue };
        // What is deployed has the same processes, and these have one clock.
        for replica in &guest.set.replicas {
            let (records, resource) = (Rc::clone(&records), replica.identity.resource);
            replica.identity.process.set_skew(Box::new(move |now| records.skew(resource, now)));
        }
    }
    Some(records)
}
