//! What the bus does when faults come and go that no request asks for: it changes
//! what has struck replicas.

use std::rc::Rc;

use crate::cache::ActiveFault;
use crate::fault::{Action, Faults, Rule, WindowHandler};
use crate::model::{ExportFault, Nanos, ReplicaFault, TopicFault};
use crate::rng::Key;
use crate::telemetry::signal::Receivers;

use crate::bus::GuestNode;
use crate::bus::callee::CalleeSide;
use crate::bus::replica::Replica;
use crate::bus::replica_faults::{ProcessFate, ReplicaFaults};

impl WindowHandler for CalleeSide {
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
                for replica in self.struck_replicas(rule) {
                    self.end_process(replica, replica.strike(rule, fault));
                    if replica.process.is_paused() {
                        self.member_stands_still(replica);
                    }
                }
                self.next_step(rule, fault)
            }
            Action::Record(fault) => {
                self.records.iter().for_each(|records| records.opened(rule, fault));
                None
            }
            Action::Database(database, fault) => {
                let (of, index) = (Rc::clone(rule), rule.index);
                self.host.databases.begin_fault(
                    *database,
                    index,
                    fault,
                    Box::new(move |now| of.strength(now)),
                );
                None
            }
            Action::Topic(target, fault) => self.begin_group_fault(rule, target, fault),
            Action::Cache(cache, fault) => {
                let active = Box::new(AtCache(Rc::clone(rule)));
                self.host.caches.at(*cache).begin_fault(rule.index, fault, active, self.now());
                None
            }
            Action::Export(ExportFault::CollectorDown) => {
                rule.acted();
                self.host.recorder.set_receivers(Receivers::Down);
                None
            }
        }
    }

    fn step(&self, rule: &Rc<Rule>) -> Option<Nanos> {
        let fault = match self.faults.action(rule) {
            Action::Replica(fault) => fault,
            Action::Topic(target, TopicFault::Rebalance { every, takes }) => {
                return self.rebalance(rule, target, every, takes);
            }
            _ => return None,
        };
        for replica in self.struck_replicas(rule) {
            self.end_process(replica, replica.step(rule, fault));
            self.at(replica).for_each(Replica::call_up);
        }
        self.next_step(rule, fault)
    }

    fn kept(&self, rule: &Rule) -> u64 {
        self.kept_by(rule.index)
    }

    fn closed(&self, rule: &Rc<Rule>) {
        match self.faults.action(rule) {
            Action::Network(_) | Action::Worker(_) | Action::Span(_) => {}
            Action::Door(_) => self.roll_out(rule),
            Action::Replica(fault) => {
                for replica in self.struck_replicas(rule) {
                    replica.end(rule, fault);
                    self.measure_return(replica);
                    self.await_member(replica);
                    self.at(replica).for_each(Replica::call_up);
                }
            }
            Action::Record(_) => self.records.iter().for_each(|records| records.closed(rule)),
            Action::Database(database, _) => self.host.databases.end_fault(*database, rule.index),
            Action::Topic(target, fault) => self.end_group_fault(rule, target, fault),
            Action::Cache(cache, _) => self.host.caches.at(*cache).end_fault(rule.index, self.now()),
            Action::Export(ExportFault::CollectorDown) => self.host.recorder.set_receivers(Receivers::Up),
        }
    }
}

/// A fault as the cache sees it that it strikes.
struct AtCache(Rc<Rule>);

impl ActiveFault for AtCache {
    fn strikes(&self, command: Key, now: Nanos) -> Option<Key> {
        let key = command.with_name(&self.0.name);
        (!self.0.spares(key, self.0.probability_at(now))).then(|| key.with(1))
    }

    fn strength(&self, now: Nanos) -> f64 {
        self.0.strength(now)
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
        self.aim(rule).map_or(&[], |guest| &guest.set.replicas)
    }

    /// What runs at a replica: every release of the guest.
    pub(in crate::bus) fn at<'a>(&'a self, faults: &'a ReplicaFaults) -> impl Iterator<Item = &'a Replica> {
        let sets = self.guest(faults.service).into_iter().flat_map(|guest| {
            let others = guest.releases.iter().filter_map(|release| release.set.as_ref());
            [&guest.set].into_iter().chain(others)
        });
        sets.map(|set| &set.replicas[faults.replica as usize])
    }

    fn struck_replicas(&self, rule: &Rule) -> impl Iterator<Item = &Rc<ReplicaFaults>> {
        self.replicas(rule).iter().filter_map(Replica::faults)
    }

    /// Ends the process of a replica, if a fault has decided so.
    pub(in crate::bus) fn end_process(&self, faults: &ReplicaFaults, fate: ProcessFate) {
        if fate == ProcessFate::Lives {
            return;
        }
        self.at(faults).for_each(Replica::forget);
        faults.process.die();
        self.at(faults).for_each(|replica| self.host.databases.process_ended(replica.identity.resource.0));
        self.measure_death(faults);
        self.member_died(faults);
    }

    /// When a rule wants to be asked again while its window is open.
    fn next_step(&self, rule: &Rule, fault: &ReplicaFault) -> Option<Nanos> {
        let next = |replica: &Replica| replica.faults()?.next_step(rule, fault, replica.workers());
        self.replicas(rule).iter().filter_map(next).min()
    }
}
