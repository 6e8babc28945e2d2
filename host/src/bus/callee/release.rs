//! Deployments: a service's replicas run one release of its guest, and while a fault
//! has deployed another, some of them, or some of the requests, get that.

use std::rc::Rc;

use crate::bus::visit::Visit;
use crate::fault::{Candidate, DOOR_SIGNS, Drawn, Firing, Held, Rule, Spans, Strike};
use crate::guest::CallError;
use crate::model::Canary;
use crate::rng::Purpose;

use super::CalleeSide;
use super::node::{GuestNode, Release, ReplicaSet};

impl Release {
    /// Whether one of `replicas` runs this release while it is deployed: the last do.
    fn is_on(&self, replica: usize, replicas: usize) -> bool {
        match self.canary {
            // Rounded up, but not for what is no more than the error of a float: 0.28 of 25 are 7.
            Canary::Replicas(share) => replica >= replicas - (share * replicas as f64 - 1e-9).ceil() as usize,
            Canary::Requests(_) => false,
        }
    }
}

/// Who serves a request.
pub(super) struct Chosen<'a> {
    pub set: &'a ReplicaSet,
    /// Kept as long as the request is under way.
    pub _held: Option<Held>,
}

impl CalleeSide {
    /// Which release serves a request at a replica: the first that is deployed for it.
    ///
    /// # Errors
    /// It does not come up, so nobody is there.
    pub(super) fn choose<'a>(
        &self,
        guest: &'a GuestNode,
        visit: &Visit,
        replica: usize,
    ) -> Result<Chosen<'a>, CallError> {
        for release in &guest.releases {
            let rule = &self.faults.rules()[release.fault];
            if !rule.is_active() {
                continue;
            }
            if matches!(release.canary, Canary::Replicas(_))
                && !release.is_on(replica, guest.set.replicas.len())
            {
                continue;
            }
            if let Some(strike) = self.deployed(rule, release, guest, visit, replica) {
                return match &release.set {
                    Some(set) => Ok(Chosen { set, _held: strike.held }),
                    None => {
                        self.stats.refused(visit.to, visit.from.is_some());
                        Err(self.nobody_at(visit.to))
                    }
                };
            }
        }
        Ok(Chosen { set: &guest.set, _held: None })
    }

    /// The release that stands at a replica for all that happens there: a job runs in it. None where it does
    /// not come up.
    pub(super) fn standing<'a>(&self, guest: &'a GuestNode, replica: usize) -> Option<&'a ReplicaSet> {
        let replicas = guest.set.replicas.len();
        let deployed = guest.releases.iter().find(|release| {
            self.faults.rules()[release.fault].is_active() && release.is_on(replica, replicas)
        });
        deployed.map_or(Some(&guest.set), |release| release.set.as_ref())
    }

    /// Whether a fault has deployed a release for this request.
    fn deployed(
        &self,
        rule: &Rc<Rule>,
        release: &Release,
        guest: &GuestNode,
        visit: &Visit,
        replica: usize,
    ) -> Option<Strike> {
        let found = guest.set.routes.find(&visit.request.method, visit.request.path());
        let (route, params) = found.parts();
        let candidate = visit.candidate(route, Some(replica as u32), &params, visit.span);
        if !rule.is_for_route(route) {
            return None;
        }
        if let Canary::Requests(share) = release.canary {
            // By trace: what belongs together stays together.
            let key = visit.trace.key.with(Purpose::Fault as u64).with_name(&rule.name);
            if !rule.meets(&candidate) || rule.spares(key, share) {
                return None;
            }
        }
        let now = self.now();
        let strike = rule.strike(&candidate, now)?;
        // One that is broken does not come up: there is no process, nor a SERVER span.
        let resource = release.set.as_ref().map(|set| set.replicas[replica].identity.resource);
        let within = Some(visit.call.unwrap_or(visit.span));
        let spans = Spans { server: release.set.as_ref().and(candidate.spans.server), ..candidate.spans };
        let candidate = Candidate { resource, spans, ..candidate };
        let firing = Firing::at(rule, &candidate.site(), strike.window, now, Drawn::Nothing);
        self.faults.ledger.fired(Firing { within, ..firing }.shown_by(spans, DOOR_SIGNS));
        Some(strike)
    }

    /// Lets the replicas of a service that a fault has deployed a release at, or no
    /// longer has, do without the workers of the one that it replaces: these are other
    /// processes, which are done with what they have and end.
    pub(in crate::bus) fn roll(&self, rule: &Rule, guest: &GuestNode) {
        let Some(release) = guest.releases.iter().find(|release| release.fault == rule.index) else { return };
        for (index, replica) in guest.set.replicas.iter().enumerate() {
            let is_replaced = guest.releases.iter().any(|other| {
                self.faults.rules()[other.fault].is_active() && other.is_on(index, guest.set.replicas.len())
            });
            replica.retire(is_replaced);
            self.host.databases.retire(replica.identity.resource.0, is_replaced);
            self.measure_deployment(replica, !is_replaced);
            if release.is_on(index, guest.set.replicas.len()) {
                let runs = guest.releases.iter().find(|other| {
                    self.faults.rules()[other.fault].is_active()
                        && other.is_on(index, guest.set.replicas.len())
                });
                let is_there = runs.is_none_or(|release| release.set.is_some());
                self.member_redeployed(replica.identity.service, index as u32, is_there);
            }
        }
        let deployed = release.set.iter().flat_map(|set| &set.replicas);
        for (index, replica) in deployed.enumerate() {
            replica.retire(!rule.is_active());
            self.host.databases.retire(replica.identity.resource.0, !rule.is_active());
            let is_there = match release.canary {
                Canary::Replicas(_) => release.is_on(index, guest.set.replicas.len()),
                Canary::Requests(_) => true,
            };
            self.measure_deployment(replica, rule.is_active() && is_there);
        }
    }
}
