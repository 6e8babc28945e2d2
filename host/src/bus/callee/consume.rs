//! Lets groups consume their topics: one task for each partition in which a group has something to do.
//!
//! Nothing runs for a partition that is done, so that a world with topics comes to its end. A message that
//! comes, a replica that comes up and a pause that is over [stir](CalleeSide::stir) the partition.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::pin::pin;
use std::rc::{Rc, Weak};

use futures_util::future::select;

use crate::bus::replica_faults::ReplicaFaults;
use crate::model::{Nanos, ServiceId};
use crate::sched::{self, NEVER};
use crate::topic::{Listener, Next, Settled, Topics};

use super::CalleeSide;

/// A replica that has no room for messages is asked again after this time: nanoseconds.
pub(super) const BUSY: Nanos = 100_000_000;

/// The groups of a world, as far as the bus works for them.
#[derive(Default)]
pub(in crate::bus) struct Consumers {
    /// By group and partition.
    drivers: Vec<Vec<Driver>>,
    /// By service, the groups that it consumes.
    of: Vec<Vec<usize>>,
    /// By their places in the model, the faults that let groups assign their partitions anew.
    pub storms: RefCell<BTreeMap<usize, Storm>>,
    me: OnceCell<Weak<CalleeSide>>,
}

/// A fault that lets a group assign its partitions anew: when it does next, and how often it has in this
/// window.
pub(in crate::bus) struct Storm {
    pub next: Nanos,
    pub number: u64,
}

/// What works for a partition of a group.
#[derive(Default)]
struct Driver {
    is_running: Cell<bool>,
    /// It waits for an instant, and is told if it may be able to go on before.
    asleep: RefCell<Option<sched::Sender<()>>>,
}

impl Consumers {
    pub fn new(topics: &Topics, services: usize) -> Self {
        let mut of = vec![Vec::new(); services];
        let mut drivers = Vec::new();
        for (index, group) in topics.groups().iter().enumerate() {
            let settings = &group.borrow().settings;
            of[settings.service.index()].push(index);
            let partitions = topics.logs()[settings.topic].borrow().partitions();
            drivers.push((0..partitions).map(|_| Driver::default()).collect());
        }
        Self { drivers, of, storms: RefCell::default(), me: OnceCell::new() }
    }

    /// The groups that a service consumes.
    fn of(&self, service: ServiceId) -> &[usize] {
        &self.of[service.index()]
    }
}

/// Hears of messages that have come.
struct Doorbell(Weak<CalleeSide>);

impl Listener for Doorbell {
    fn published(&self, topic: usize, partition: u32) {
        if let Some(side) = self.0.upgrade() {
            side.host.topics.groups_of(topic).iter().for_each(|group| side.stir(*group, partition));
        }
    }
}

impl CalleeSide {
    /// Lets the replicas of all services join their groups.
    pub(in crate::bus) fn begin_consuming(self: &Rc<Self>) {
        if self.host.topics.groups().is_empty() {
            return;
        }
        let me = Rc::downgrade(self);
        assert!(self.consumers.me.set(me.clone()).is_ok(), "consuming begins once");
        self.host.topics.listen(Rc::new(Doorbell(me)));
        for (index, _) in self.nodes.iter().enumerate() {
            let service = ServiceId(index as u32);
            let replicas = self.guest(service).map_or(0, |guest| guest.set.replicas.len() as u32);
            for group in self.consumers.of(service) {
                let mut group = self.host.topics.groups()[*group].borrow_mut();
                (0..replicas).for_each(|replica| group.join(replica, self.now()));
            }
        }
    }

    /// Has a group look at a partition.
    pub(in crate::bus) fn stir(self: &Rc<Self>, group: usize, partition: u32) {
        let driver = &self.consumers.drivers[group][partition as usize];
        if let Some(asleep) = driver.asleep.take() {
            asleep.send(()).ok();
        }
        if !driver.is_running.replace(true) {
            self.host.sched.spawn(Rc::clone(self).drive(group, partition));
        }
    }

    /// Has a group look at all of its partitions.
    pub(in crate::bus) fn stir_all(&self, group: usize) {
        let Some(me) = self.consumers.me.get().and_then(Weak::upgrade) else { return };
        (0..self.consumers.drivers[group].len() as u32).for_each(|partition| me.stir(group, partition));
    }

    /// Delivers what there is in a partition, one delivery after the other.
    async fn drive(self: Rc<Self>, group: usize, partition: u32) {
        let driver = &self.consumers.drivers[group][partition as usize];
        loop {
            match self.host.topics.next(group, partition, self.now()) {
                Next::Idle | Next::At(NEVER) => break,
                Next::At(at) => {
                    let (send, stirred) = sched::oneshot();
                    *driver.asleep.borrow_mut() = Some(send);
                    select(stirred, pin!(self.host.sched.sleep_until(at))).await;
                    driver.asleep.take();
                }
                Next::Deliver(delivery) => {
                    let delivery = Rc::new(delivery);
                    // In a box, as it is large: a task that waits has no room for it.
                    let delivered = Box::pin(self.deliver_messages(group, &delivery)).await;
                    let settled = {
                        let mut group = self.host.topics.groups()[group].borrow_mut();
                        group.settle(&delivery, delivered.outcome, self.now())
                    };
                    if settled == Settled::GivenUp {
                        Box::pin(self.bury(group, &delivery, &delivered)).await;
                    }
                }
            }
        }
        driver.is_running.set(false);
    }

    /// The process of a replica has died: it is a member of its groups until its sessions time out.
    pub(in crate::bus) fn member_died(&self, faults: &ReplicaFaults) {
        let (service, replica) = (faults.service, faults.replica);
        for group in self.consumers.of(service) {
            self.host.topics.groups()[*group].borrow_mut().lose(replica, self.now());
            self.stir_all(*group);
        }
        self.await_member(faults);
    }

    /// Lets a replica join its groups as soon as its process has come up.
    pub(in crate::bus) fn await_member(&self, faults: &ReplicaFaults) {
        let (service, replica, at) = (faults.service, faults.replica, self.comes_up(Some(faults)));
        let me = self.consumers.me.get().and_then(Weak::upgrade);
        let Some(me) = me.filter(|_| !self.consumers.of(service).is_empty() && at < NEVER) else { return };
        self.host.sched.spawn(async move {
            me.host.sched.sleep_until(at).await;
            me.member_returns(service, replica);
        });
    }

    fn member_returns(&self, service: ServiceId, replica: u32) {
        let faults = self.guest(service).and_then(|guest| guest.set.replicas[replica as usize].faults());
        // Something else may have struck it meanwhile.
        if self.comes_up(faults.map(|faults| &**faults)) > self.now() {
            return;
        }
        for group in self.consumers.of(service) {
            self.host.topics.groups()[*group].borrow_mut().join(replica, self.now());
            self.stir_all(*group);
        }
    }

    /// A deployment has changed what runs at a replica: that leaves its groups, and what is there now joins.
    pub(super) fn member_redeployed(&self, service: ServiceId, replica: u32, is_there: bool) {
        for group in self.consumers.of(service) {
            {
                let mut group = self.host.topics.groups()[*group].borrow_mut();
                group.leave(replica, self.now());
                if is_there {
                    group.join(replica, self.now());
                }
            }
            self.stir_all(*group);
        }
    }
}
