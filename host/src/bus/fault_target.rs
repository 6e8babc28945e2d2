//! What the bus does when faults come and go that no request asks for: it changes
//! what has befallen replicas.

use std::rc::Rc;

use crate::fault::{Faults, Point, Rule, Stage};
use crate::model::{FaultKind, Nanos};

use super::GuestNode;
use super::callee::CalleeSide;
use super::replica::Replica;
use super::replica_faults::{Fate, Plight};

impl Stage for CalleeSide {
    fn faults(&self) -> &Faults {
        &self.faults
    }

    fn opened(&self, rule: &Rc<Rule>) -> Option<Nanos> {
        self.roll_out(rule);
        match (rule.point, &self.records) {
            (Point::Record, Some(records)) => records.opened(rule),
            (Point::Export, _) => {
                rule.acted();
                self.host.recorder.turn(true);
            }
            _ => {}
        }
        for plight in self.plights(rule) {
            self.meet(plight, plight.befall(rule));
        }
        self.next_step(rule)
    }

    fn step(&self, rule: &Rc<Rule>) -> Option<Nanos> {
        for plight in self.plights(rule) {
            self.meet(plight, plight.step(rule));
            self.at(plight).for_each(Replica::call_up);
        }
        self.next_step(rule)
    }

    fn closed(&self, rule: &Rc<Rule>) {
        self.roll_out(rule);
        match (rule.point, &self.records) {
            (Point::Record, Some(records)) => records.closed(rule),
            (Point::Export, _) => self.host.recorder.turn(false),
            _ => {}
        }
        for plight in self.plights(rule) {
            plight.relieve(rule);
            self.at(plight).for_each(Replica::call_up);
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
        if let (FaultKind::BadDeploy { .. }, Some(guest)) = (&rule.kind, self.aim(rule)) {
            self.roll(rule, guest);
        }
    }

    /// The replicas of the service that a rule is aimed at, if it is one that befalls replicas.
    fn replicas(&self, rule: &Rule) -> &[Replica] {
        let guest = self.aim(rule).filter(|_| rule.point == Point::Replica);
        guest.map_or(&[], |guest| &guest.stand.replicas)
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
    fn next_step(&self, rule: &Rule) -> Option<Nanos> {
        match rule.kind {
            FaultKind::RestartLoop { .. } => {
                self.plights(rule).filter_map(|plight| plight.next_fall(rule)).min()
            }
            FaultKind::PoolExhaustion { workers } => {
                let workers = workers.min(self.replicas(rule).first()?.workers());
                fewer(rule, workers, self.now())
            }
            _ => None,
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
