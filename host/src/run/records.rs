//! Where faults of records stand: between the guests and the recorder.

use std::rc::Rc;

use crate::bus::{Node, NodeCode};
use crate::fault::{Ledger, Origin, Records};
use crate::guest::{Host, Identity};
use crate::model::{Model, ServiceId};
use crate::telemetry::record::ResourceId;
use crate::telemetry::recorder::Editor;

/// The faults of records, if there are any: they stand between guests and recorder.
pub fn records(
    model: &Model,
    host: &Rc<Host>,
    ledger: Rc<Ledger>,
    nodes: &[Node],
    first_alias: ResourceId,
) -> Option<Rc<Records>> {
    let guests = nodes.iter().enumerate().filter_map(|(index, node)| match &node.code {
        NodeCode::Guest(guest) => Some((ServiceId(index as u32), guest)),
        NodeCode::External => None,
    });
    let replicas = guests.flat_map(|(service, guest)| {
        guest.stand.replicas.iter().map(move |replica| (service, &replica.identity))
    });
    let replicas: Vec<_> = replicas.collect();
    let origin = |(service, identity): &(ServiceId, &Rc<Identity>)| Origin {
        service: *service,
        replica: identity.replica,
        resource: identity.resource,
    };
    let origins: Vec<_> = replicas.iter().map(origin).collect();
    let records = Records::new(model, &host.sched, ledger, &origins, first_alias)?;
    host.recorder.edit(Rc::clone(&records) as Rc<dyn Editor>);
    for (_, identity) in replicas {
        let (records, resource) = (Rc::clone(&records), identity.resource);
        identity.process.set_skew(Box::new(move |now| records.skew(resource, now)));
    }
    Some(records)
}
