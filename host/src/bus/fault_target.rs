//! What the bus does when faults come and go that no request asks for: it changes
//! what has befallen replicas.

use std::rc::Rc;

use crate::fault::{Action, Faults, Rule, Stage};
use crate::model::{ExportFault, Nanos, ReplicaFault};

use super::GuestNode;
use super::callee::CalleeSide;
use super::replica::Replica;
use super::replica_faults::{Fate, Plight};

impl Stage for CalleeSide {
    fn faults(&self) -> &Faults {
        &self.faults
    }

    fn opened(&self, rule: &Rc<Rule>) -> Option<Nanos> {
        match self.faults.action(rule) {
            // These look at each request, or span, as it comes.
            Action::Network(_) | Action::Worker(_) | Action::Span(_) => None,
            Action::Door(_) => {
                self.roll_out(rule);
                None
            }
            Action::Replica(fault) => {
                for replica in self.plights(rule) {
                    self.meet(replica, replica.befall(rule, fault));
                }
                self.next_step(rule, fault)
            }
            Action::Record(fault) => {
                self.records.iter().for_each(|records| records.opened(rule, fault));
                None
            }
            Action::Export(ExportFault::CollectorDown) => {
                rule.acted();
                self.host.recorder.turn(true);
                None
            }
        }
    }

    fn step(&self, rule: &Rc<Rule>) -> Option<Nanos> {
        let Action::Replica(fault) = self.faults.action(rule) else { return None };
        for replica in self.plights(rule) {
            self.meet(replica, replica.step(rule, fault));
            self.at(replica).for_each(Replica::call_up);
        }
        self.next_step(rule, fault)
    }

    fn closed(&self, rule: &Rc<Rule>) {
        match self.faults.action(rule) {
            Action::Network(_) | Action::Worker(_) | Action::Span(_) => {}
            Action::Door(_) => self.roll_out(rule),
            Action::Replica(fault) => {
                for replica in self.plights(rule) {
                    replica.relieve(rule, fault);
                    self.at(replica).for_each(Replica::call_up);
                }
            }
            Action::Record(_) => self.records.iter().for_each(|records| records.closed(rule)),
            Action::Export(ExportFault::CollectorDown) => self.host.recorder.turn(false),
        }
    }
}

impl CalleeSide {
    /// The guest at which a rule is aimed, if there is one.
    fn aim(&self, rule: &Rule) -> Option<&GuestNode> {
        self.guest(rule.service()?)
    }

    /// Deploys something, or takes it back, if that is what the rule does.
    fn roll_out(&self, rule: &Rule) {
        if let Some(guest) = self.aim(rule) {
            self.roll(rule, guest);
        }
    }

    /// The replicas of the service that a rule is aimed at.
    fn replicas(&self, rule: &Rule) -> &[Replica] {
        self.aim(rule).map_or(&[], |guest| &guest.stand.replicas)
    }

    /// What runs at a replica: every release of the guest.
    fn at<'a>(&'a self, plight: &'a Plight) -> impl Iterator<Item = &'a Replica> {
        let stands = self.guest(plight.service).into_iter().flat_map(|guest| {
            let others = guest.releases.iter().filter_map(|release| release.stand.as_ref());
            [&guest.stand].into_iter().chain(others)
        });
        stands.map(|stand| &stand.replicas[plight.replica as usize])
    }

    fn plights(&self, rule: &Rule) -> impl Iterator<Item = &Rc<Plight>> {
        self.replicas(rule).iter().filter_map(Replica::plight)
    }

    /// Lets a replica meet its fate.
    pub(super) fn meet(&self, plight: &Plight, fate: Fate) {
        if fate == Fate::Lives {
            return;
        }
        self.at(plight).for_each(Replica::forget);
        plight.process.die();
    }

    /// When a rule wants to be asked again while its window is open.
    fn next_step(&self, rule: &Rule, fault: &ReplicaFault) -> Option<Nanos> {
        match fault {
            ReplicaFault::RestartLoop { .. } => {
                self.plights(rule).filter_map(|plight| plight.next_fall(rule)).min()
            }
            ReplicaFault::PoolExhaustion { workers } => {
                let workers = (*workers).min(self.replicas(rule).first()?.workers());
                fewer(rule, workers, self.now())
            }
            ReplicaFault::Cpu { .. }
            | ReplicaFault::Pause
            | ReplicaFault::Crash { .. }
            | ReplicaFault::Down => None,
        }
    }
}

/// When a fault that fades takes one worker less than it does now, of so many at most.
fn fewer(rule: &Rule, workers: u32, now: Nanos) -> Option<Nanos> {
    let (closes, ramp) = (rule.window().closes?, rule.when.ramp);
    let fades = closes.saturating_sub(ramp);
    let taken =
        if now < fades { f64::from(workers) } else { (f64::from(workers) * rule.strength(now)).round() };
    if ramp == 0 || taken < 1.0 {
        return None;
    }
    // Where it is just so many and a half, it is the larger number still.
    let left = (ramp as f64 * (taken - 0.5) / f64::from(workers)) as Nanos;
    Some(closes.saturating_sub(left).max(now) + 1)
}
