//! Messages that faults strike on their way to their partition, and groups that faults keep from consuming.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::context::SpanContext;
use crate::fault::{Candidate, Drawn, Firing, Json, Rule, SHORTEST, Side, Site, Spans};
use crate::guest::Asking;
use crate::model::{Distribution, Nanos, ServiceId, TopicFault, TopicTarget};
use crate::telemetry::record::ResourceId;
use crate::topic::{Delivery, Fate, Group, Hold, Message, Record};

use crate::bus::callee::{CalleeSide, Storm, as_request};
use crate::bus::visit::Visit;
use crate::message::Request;

/// The CONSUMER span of a message shows what struck it.
const SIGNS: &[Side] = &[Side::Server];

/// What has kept a record that was published at this instant, until `now`, of holds that are in the order of
/// time for each fault. By fault: the window in which it has first, from when, and for how long altogether.
fn keepers<'a>(
    holds: impl Iterator<Item = &'a Hold>,
    published: Nanos,
    now: Nanos,
) -> BTreeMap<usize, (u64, Nanos, Nanos)> {
    let mut keepers = BTreeMap::new();
    for hold in holds.map(|hold| hold.until(now)) {
        if let Some(kept) = hold.keeps(published) {
            let first = (hold.window, hold.keeps_from(published), 0);
            keepers.entry(hold.fault).or_insert(first).2 += kept;
        }
    }
    keepers
}

impl CalleeSide {
    /// What faults make of a message that has come to its broker, for this topic and partition.
    #[inline]
    pub(in crate::bus) fn fate_of(
        &self,
        to: (usize, u32),
        message: &Message,
        asking: &Asking,
    ) -> Option<Fate> {
        self.faults.ledger.sends(asking.service, to.0);
        let rules = self.faults.of_messages(to.0)?;
        Some(self.struck_fate(&rules, to, message, asking)).filter(|fate| !fate.struck.is_empty())
    }

    fn struck_fate(&self, rules: &[Rc<Rule>], to: (usize, u32), message: &Message, asking: &Asking) -> Fate {
        let is_looked_into = rules.iter().any(|rule| rule.looks_into());
        let request = if is_looked_into { as_request(message) } else { Request::default() };
        let Asking { service, replica, resource, slot, from, trace, server, span } = *asking;
        let candidate = Candidate {
            service,
            route: slot,
            replica: Some(replica),
            from: from.map(|from| (from, 0)),
            request: &request,
            params: &[],
            baggage: &message.baggage,
            json: Json::default(),
            attempt: 0,
            trace,
            resource: Some(resource),
            span: server.unwrap_or(span),
            spans: Spans { server, client: None, own: Some(message.context.span_id) },
            key: message.draws,
        };
        self.faults.message(rules, to, &candidate, self.now())
    }

    /// A member has messages for the first time, in the CONSUMER span of `site`: tells of those that faults
    /// had struck on their way, or have kept from the group, or from the member of their partition.
    pub(in crate::bus) fn strike_delivery(&self, group: usize, delivery: &Delivery, site: &Site) {
        if delivery.had as usize >= delivery.records.len() || !self.faults.has_topics() && !self.is_any_mortal
        {
            return;
        }
        let group = self.host.topics.groups()[group].borrow();
        let at = (group.settings.topic, delivery.partition);
        for record in &delivery.records[delivery.had as usize..] {
            let struck = record.fate.as_ref().map(|fate| &fate.struck[..]).unwrap_or_default();
            struck.iter().for_each(|by| self.strike_consumed(*by, at, site, (Drawn::Nothing, None)));
            let holds = group.kept(delivery.partition).iter().chain(group.holds());
            let keepers = keepers(holds.filter(|hold| hold.until < Nanos::MAX), record.published, self.now());
            for (fault, (window, from, kept)) in keepers {
                self.faults.rules()[fault].acted();
                self.strike_consumed((fault, window), at, site, (Drawn::Delay(kept), Some(from)));
            }
        }
    }

    /// What a member has done with messages counts for nothing if their partition was taken away meanwhile.
    pub(in crate::bus) fn strike_revoked(&self, group: usize, delivery: &Delivery, site: &Site) {
        let group = self.host.topics.groups()[group].borrow();
        if let Some(by) = group.revoked_by(delivery) {
            self.faults.rules()[by.fault].acted();
            let at = (group.settings.topic, delivery.partition);
            self.strike_consumed((by.fault, by.window), at, site, (Drawn::Nothing, Some(by.since)));
        }
    }

    /// The run is over: tells of the messages that faults keep from groups, or from the members of their
    /// partitions, until then.
    pub(in crate::bus) fn strike_kept(&self) {
        if !self.faults.has_topics() && !self.is_any_mortal {
            return;
        }
        for group in self.host.topics.groups() {
            let group = group.borrow();
            let partitions = self.host.topics.logs()[group.settings.topic].borrow().partitions();
            (0..partitions).for_each(|partition| self.strike_kept_at(&group, partition));
        }
    }

    /// The same for a partition of a group. What has kept a record that a member has had was told then.
    fn strike_kept_at(&self, group: &Group, partition: u32) {
        if group.holds().is_empty() && group.kept(partition).is_empty() {
            return;
        }
        let (topic, now) = (group.settings.topic, self.now());
        let log = self.host.topics.logs()[topic].borrow();
        let (oldest, end) = log.range(partition);
        for offset in group.next_offset(partition).max(oldest)..end {
            let Some(record) = log.get(partition, offset).filter(|record| !record.is_lost()) else {
                continue;
            };
            let is_untouched = offset >= group.first_untouched(partition);
            let kept = group.kept(partition).iter().filter(|_| is_untouched);
            let held = group.holds().iter().filter(|hold| is_untouched || hold.until > now);
            for (fault, (window, from, kept)) in keepers(kept.chain(held), record.published, now) {
                self.faults.rules()[fault].acted();
                let drawn = (Drawn::Delay(kept), from);
                let at = (topic, partition);
                self.strike_unconsumed((fault, window), at, (group.settings.service, record), drawn);
            }
        }
    }

    /// Messages that a fault keeps from groups, or from the members of their partitions, or has kept, and
    /// that no member has had since: they are counted when one does, or when the run ends.
    pub(super) fn kept_by(&self, fault: usize) -> u64 {
        let (topics, now) = (&self.host.topics, self.now());
        let in_partition = |group: &Group, partition: u32| {
            let holds = group.holds().iter().chain(group.kept(partition));
            let holds: Vec<Hold> =
                holds.filter(|hold| hold.fault == fault).map(|hold| hold.until(now)).collect();
            if holds.is_empty() {
                return 0;
            }
            let log = topics.logs()[group.settings.topic].borrow();
            let (oldest, end) = log.range(partition);
            let waiting = (group.first_untouched(partition).max(oldest)..end).filter(|offset| {
                let record = log.get(partition, *offset).filter(|record| !record.is_lost());
                record.is_some_and(|record| holds.iter().any(|hold| hold.keeps(record.published).is_some()))
            });
            waiting.count() as u64
        };
        let in_group = |group: &RefCell<Group>| -> u64 {
            let group = group.borrow();
            let partitions = topics.logs()[group.settings.topic].borrow().partitions();
            (0..partitions).map(|partition| in_partition(&group, partition)).sum()
        };
        topics.groups().iter().map(in_group).sum()
    }

    /// A message that no member has had, so that no span shows it.
    fn strike_unconsumed(
        &self,
        (fault, window): (usize, u64),
        (topic, partition): (usize, u32),
        (service, record): (ServiceId, &Record),
        (drawn, since): (Drawn, Nanos),
    ) {
        let SpanContext { trace_id, span_id, .. } = record.message.context;
        let site = Site {
            service,
            replica: None,
            resource: None,
            route: None,
            from: None,
            trace: trace_id,
            within: span_id,
            spans: Spans { server: None, client: None, own: None },
        };
        let firing = Firing::at(&self.faults.rules()[fault], &site, window, self.now(), drawn);
        self.faults.ledger.fired(firing.of_message(topic, partition).kept_since(Some(since)));
    }

    fn strike_consumed(
        &self,
        (fault, window): (usize, u64),
        (topic, partition): (usize, u32),
        site: &Site,
        (drawn, since): (Drawn, Option<Nanos>),
    ) {
        let rule = &self.faults.rules()[fault];
        let firing = Firing::at(rule, site, window, self.now(), drawn).of_message(topic, partition);
        self.faults.ledger.fired(firing.kept_since(since).shown_by(site.spans, SIGNS));
    }

    /// A fault has a group from now on. Returns when it does something again.
    pub(super) fn begin_group_fault(
        &self,
        rule: &Rc<Rule>,
        target: &TopicTarget,
        fault: &TopicFault,
    ) -> Option<Nanos> {
        match fault {
            TopicFault::Pause => {
                let hold = self.hold_by(rule, Nanos::MAX);
                self.groups_of(target)
                    .for_each(|group| self.host.topics.groups()[group].borrow_mut().hold(hold));
                None
            }
            TopicFault::Rebalance { every, takes } => {
                let storm = Storm { next: self.now(), number: 0 };
                self.consumers.storms.borrow_mut().insert(rule.index, storm);
                self.rebalance(rule, target, every, takes)
            }
            TopicFault::Duplicate
            | TopicFault::Reorder { .. }
            | TopicFault::Late { .. }
            | TopicFault::Lose => None,
        }
    }

    /// Lets groups assign their partitions anew, if it is time. Returns when it is again.
    pub(super) fn rebalance(
        &self,
        rule: &Rc<Rule>,
        target: &TopicTarget,
        every: &Distribution,
        takes: &Distribution,
    ) -> Option<Nanos> {
        let mut storms = self.consumers.storms.borrow_mut();
        let storm = storms.get_mut(&rule.index)?;
        let now = self.now();
        if storm.next > now {
            return Some(storm.next);
        }
        let key = rule.window_key().with(storm.number);
        let takes = takes.sample(&mut key.with(0).stream());
        storm.next = now.saturating_add(every.sample(&mut key.with(1).stream()).max(SHORTEST));
        storm.number += 1;
        let hold = self.hold_by(rule, now.saturating_add(takes));
        // Without new messages a group works off what it has: otherwise one that is never done has no end.
        let mut fed = false;
        for group in self.groups_of(target) {
            let mut group = self.host.topics.groups()[group].borrow_mut();
            if group.is_fed() {
                fed = true;
                group.rebalance(hold);
            }
        }
        fed.then_some(storm.next)
    }

    /// A fault has a group no longer.
    pub(super) fn end_group_fault(&self, rule: &Rc<Rule>, target: &TopicTarget, fault: &TopicFault) {
        self.consumers.storms.borrow_mut().remove(&rule.index);
        // A rebalance that is under way comes to its end.
        if *fault == TopicFault::Pause {
            for group in self.groups_of(target) {
                self.host.topics.groups()[group].borrow_mut().let_go(rule.index, self.now());
                self.stir_all(group);
            }
        }
    }

    fn hold_by(&self, rule: &Rule, until: Nanos) -> Hold {
        Hold { fault: rule.index, window: rule.windows(), since: self.now(), until }
    }

    /// The groups that a fault applies to.
    fn groups_of<'a>(&'a self, target: &'a TopicTarget) -> impl Iterator<Item = usize> + 'a {
        let is_meant = |group: &usize| {
            let group = &self.host.topics.groups()[*group].borrow().settings.group;
            target.group.as_ref().is_none_or(|only| only == group)
        };
        self.host.topics.groups_of(target.topic).iter().copied().filter(is_meant)
    }

    /// Messages that a member has, as faults strike them.
    pub(in crate::bus) fn site_of(visit: &Visit, replica: u32, resource: ResourceId) -> Site {
        Site {
            service: visit.to,
            replica: Some(replica),
            resource: Some(resource),
            route: None,
            from: None,
            trace: visit.trace.trace_id,
            within: visit.span,
            spans: Spans { server: Some(visit.span), client: None, own: None },
        }
    }
}
