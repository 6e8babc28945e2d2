//! Lets groups consume their topics: one task for each partition in which a group has something to do.
//!
//! Nothing runs for a partition that is done, so that a world with topics comes to its end. A message that
//! comes, a replica that comes up and a pause that is over [stir](CalleeSide::stir) the partition.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::pin::pin;
use std::rc::{Rc, Weak};

use futures_util::future::{Either, select};

use crate::bus::replica_faults::ReplicaFaults;
use crate::fault::work::{Progress, Work, WorkId};
use crate::model::{Nanos, ServiceId};
use crate::process::Process;
use crate::sched::{self, NEVER};
use crate::topic::{Arrival, Delivery, Listener, Next, Outcome, Settled, Topics};

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
    /// A member has a delivery, and the driver is told if the partition is taken from it.
    delivering: RefCell<Option<sched::Sender<()>>>,
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
    fn published(&self, topic: usize, partition: u32, arrival: Arrival<'_>) {
        let Some(side) = self.0.upgrade() else { return };
        let Arrival { message, due, is_lost } = arrival;
        let sent = (message.context.trace_id, message.context.span_id);
        for group in side.host.topics.groups_of(topic) {
            side.faults.ledger.work_due(Work::message(*group, sent, (due, is_lost)));
            side.stir(*group, partition);
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
                Next::Deliver(delivery) if self.is_any_mortal => {
                    let (send, taken) = sched::oneshot();
                    *driver.delivering.borrow_mut() = Some(send);
                    let consuming = Box::pin(Rc::clone(&self).consume(group, Rc::new(delivery)));
                    // When the session has timed out, another member has the partition, and this delivery
                    // ends beside it.
                    if let Either::Right((_, consuming)) = select(consuming, taken).await {
                        self.host.sched.spawn_boxed(consuming);
                    }
                    driver.delivering.take();
                }
                Next::Deliver(delivery) => {
                    // In a box, as it is large: a task that waits has no room for it.
                    Box::pin(Rc::clone(&self).consume(group, Rc::new(delivery))).await;
                }
            }
        }
        driver.is_running.set(false);
    }

    /// Has a replica process a delivery, and the group settle it.
    async fn consume(self: Rc<Self>, group: usize, delivery: Rc<Delivery>) {
        let delivered = self.deliver_messages(group, &delivery).await;
        let settled = {
            let mut group = self.host.topics.groups()[group].borrow_mut();
            group.settle(&delivery, delivered.outcome, self.now())
        };
        self.note_delivery(group, &delivery, delivered.outcome, settled);
        if settled == Settled::GivenUp {
            self.bury(group, &delivery, &delivered).await;
        }
    }

    /// Tells what has become of messages, whoever compares it with another run.
    fn note_delivery(&self, group: usize, delivery: &Delivery, outcome: Outcome, settled: Settled) {
        let ledger = &self.faults.ledger;
        if !ledger.tracks_work() {
            return;
        }
        let progress = match outcome {
            Outcome::Done => Some(Progress::Done),
            Outcome::Retry | Outcome::Reject | Outcome::Died => Some(Progress::Failed),
            Outcome::Busy(_) => None,
        };
        let given_up = (settled == Settled::GivenUp).then_some(Progress::GivenUp);
        for record in &delivery.records {
            let id = WorkId::message(group, record.message.context.span_id);
            let all = progress.into_iter().chain(given_up);
            all.for_each(|progress| ledger.work_goes_on(id, progress, self.now()));
        }
    }

    /// The process of a replica stands still: it is a member of its groups until its sessions time out.
    pub(in crate::bus) fn member_stands_still(&self, faults: &ReplicaFaults) {
        let Some(me) = self.consumers.me.get().and_then(Weak::upgrade) else { return };
        let by = faults.absence();
        for group in self.consumers.of(faults.service) {
            let silent =
                self.host.topics.groups()[*group].borrow_mut().silence(faults.replica, by, self.now());
            if let Some(expires) = silent {
                let (me, process) = (Rc::clone(&me), Rc::clone(&faults.process));
                self.host.sched.spawn(me.await_heartbeat((faults.service, *group), process, expires));
            }
        }
    }

    /// Takes the partitions of a member whose process stands still away when its session times out.
    async fn await_heartbeat(
        self: Rc<Self>,
        (service, group): (ServiceId, usize),
        process: Rc<Process>,
        expires: Nanos,
    ) {
        let timeout = self.host.sched.sleep_until(expires);
        if let Either::Left(_) = select(process.go_on(), timeout).await {
            return;
        }
        let (taken, is_left) = {
            let mut group = self.host.topics.groups()[group].borrow_mut();
            let taken = group.taken(self.now());
            (taken, group.members(self.now()) == 0 && group.total_lag() > 0)
        };
        for partition in taken {
            let delivering = self.consumers.drivers[group][partition as usize].delivering.take();
            delivering.into_iter().for_each(|delivering| _ = delivering.send(()));
        }
        self.stir_all(group);
        // What nobody else can have waits for it, and the end of a run in virtual time too.
        if is_left {
            self.goes_on(&process, &self.node(service).limits).await;
        }
    }

    /// The process of a replica has died: it is a member of its groups until its sessions time out.
    pub(in crate::bus) fn member_died(&self, faults: &ReplicaFaults) {
        let (service, replica, by) = (faults.service, faults.replica, faults.absence());
        for group in self.consumers.of(service) {
            self.host.topics.groups()[*group].borrow_mut().lose(replica, by, self.now());
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
        let stands_still = faults.is_some_and(|faults| faults.process.is_paused());
        if stands_still || self.comes_up(faults.map(|faults| &**faults)) > self.now() {
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
        let faults = self.guest(service).and_then(|guest| guest.set.replicas[replica as usize].faults());
        // The new process of a replica that is paused stands still from the beginning.
        if let Some(faults) = faults.filter(|faults| is_there && faults.process.is_paused()) {
            self.member_stands_still(faults);
        }
    }
}
