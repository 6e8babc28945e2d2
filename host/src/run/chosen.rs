//! Names by which a run's traces are chosen, and that nothing in the topology has.

use crate::error::{did_you_mean, nearest, quote};
use crate::model::{Model, ServiceId};
use crate::telemetry::choice::Choice;
use crate::telemetry::record::Resource;

use super::loaded::Loaded;
use super::resources::traced_loads;

/// A sentence for each such name. `resources` are those of the run.
pub fn notes(choice: &Choice, model: &Model, loaded: &Loaded, resources: &[Resource]) -> Vec<String> {
    let unknown = |flag: &str, name: &str| {
        if resources.iter().any(|resource| *resource.service == *name) {
            return None;
        }
        let guests = loaded.services.iter().filter(|service| service.guest.is_some());
        let loads = traced_loads(model).map(|load| load.name.as_str());
        let names: Vec<_> = guests.map(|service| &*service.name).chain(loads).collect();
        let known = did_you_mean(name, "services", names);
        Some(format!("{flag} names the service {}, which the topology does not have: {known}", quote(name)))
    };
    let service = choice.service.iter().map(|name| ("--service", name));
    let roots = choice.roots.iter().map(|name| ("--root", name));
    let not_roots = choice.not_roots.iter().map(|name| ("--not-root", name));
    let services = service.chain(roots).chain(not_roots).filter_map(|(flag, name)| unknown(flag, name));
    let route = choice.route.as_deref().and_then(|name| {
        let ids = (0..loaded.services.len() as u32).map(ServiceId);
        let routes: Vec<_> = ids.flat_map(|id| loaded.routes(id)).collect();
        // It may also be in the name of a guest's own span, which is not known before.
        if routes.iter().any(|route| route.contains(name)) {
            return None;
        }
        let paths = routes.iter().filter_map(|route| Some(route.split_once(' ')?.1));
        let near = quote(nearest(name, paths.chain(routes.iter().map(|route| &**route)))?);
        Some(format!("--route names the route {}, which no service has: did you mean {near}?", quote(name)))
    });
    services.chain(route).collect()
}
