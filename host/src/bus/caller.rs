//! The caller's side of a call: where it goes, how often it is attempted, and its CLIENT spans.
//!
//! Start at `call`: a guest's calls arrive there.

mod attempt;
mod call;
mod measured;
mod policies;
mod resolve;

use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::link::Links;
use crate::model::ServiceId;
use crate::sched::Sched;

use super::callee::CalleeSide;
pub use measured::{Destination, Sent};
use policies::ClientStates;
pub use resolve::address_of;

/// The services of a run, as they call one another. For the core thread only.
pub struct CallerSide {
    callee: Rc<CalleeSide>,
    names: FxHashMap<Arc<str>, ServiceId>,
    links: Links,
    states: ClientStates,
    /// `host` or `host:port` that guests may call by an absolute URL.
    allowed_hosts: Vec<String>,
    /// A call may have this many calls above it.
    call_depth: u32,
}

impl CallerSide {
    pub(super) fn new(
        callee: &Rc<CalleeSide>,
        links: Links,
        allowed_hosts: Vec<String>,
        call_depth: u32,
    ) -> Self {
        let names = (0..).map(ServiceId).zip(&callee.nodes);
        let names = names.map(|(id, node)| (Arc::clone(&node.name), id)).collect();
        Self {
            callee: Rc::clone(callee),
            names,
            links,
            states: ClientStates::default(),
            allowed_hosts,
            call_depth,
        }
    }

    fn sched(&self) -> &Sched {
        &self.callee.host.sched
    }
}

impl std::fmt::Debug for CallerSide {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallerSide").field("links", &self.links).finish_non_exhaustive()
    }
}
