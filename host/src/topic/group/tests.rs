use std::num::{NonZeroU64, NonZeroU128};
use std::rc::Rc;

use super::super::{Full, Lineage, Message, Record};
use super::*;
use crate::context::{Baggage, SpanContext, SpanId, TraceFlags, TraceId};
use crate::message::Headers;
use crate::model::{
    Distribution, MessageContext, MessagingSystem, Overflow, Redelivery, Retention, ServiceId,
};
use crate::rng::{Key, Purpose};

const SECOND: Nanos = 1_000_000_000;

fn topic(partitions: u32, messages: u64, overflow: Overflow) -> model::Topic {
    model::Topic {
        name: "orders".to_owned(),
        system: MessagingSystem::Kafka,
        broker: "kafka".to_owned(),
        partitions,
        publish: Distribution::Fixed(0),
        message_size: 1 << 20,
        retain: Retention { messages, bytes: 1 << 20, age: None },
        overflow,
        place: 0..0,
    }
}

fn subscription() -> model::Subscription {
    model::Subscription {
        topic: 0,
        service: ServiceId(0),
        group: "mail".to_owned(),
        from: OffsetReset::Earliest,
        batch: 1,
        poll: SECOND / 10,
        fetch: Distribution::Fixed(0),
        retry: Redelivery { attempts: 3, backoff: SECOND, max_backoff: 30 * SECOND },
        dead_letter: None,
        context: MessageContext::Parent,
        session_timeout: 10 * SECOND,
        place: 0..0,
    }
}

/// A message with this body, published at `now`.
fn record(body: &str, now: Nanos) -> Record {
    let context = SpanContext {
        trace_id: TraceId(NonZeroU128::MIN),
        span_id: SpanId(NonZeroU64::MIN),
        flags: TraceFlags(0),
        trace_state: None,
    };
    let key = Key::new(1, Purpose::Message);
    let message = Message {
        key: None,
        headers: Headers::default(),
        body: body.as_bytes().to_vec(),
        context,
        baggage: Baggage::default(),
        trace: key,
        draws: key,
        depth: 0,
        lineage: Lineage::default(),
    };
    Record { message: Rc::new(message), published: now, copy: 0, fate: None }
}

/// A topic and one group of it.
struct Pair {
    log: Log,
    group: Group,
}

impl Pair {
    fn new(topic: &model::Topic, subscription: &model::Subscription) -> Self {
        let group = Group::new(subscription, topic.partitions, 0);
        Self { log: Log::new(topic, &Rc::default()), group }
    }

    fn of_one_partition() -> Self {
        let mut pair = Self::new(&topic(1, 100, Overflow::DropOldest), &subscription());
        pair.group.join(0, 0);
        pair
    }

    fn publish(&mut self, partition: u32, body: &str, now: Nanos) -> Result<u64, Full> {
        let done = self.group.next_offset(partition);
        let offset = self.log.append(partition, record(body, now), || Some(done), now)?;
        self.group.grew(partition, offset + 1, now);
        Ok(offset)
    }

    fn next(&mut self, partition: u32, now: Nanos) -> Next {
        self.group.next(&self.log, partition, now)
    }

    fn deliver(&mut self, partition: u32, now: Nanos) -> Delivery {
        match self.next(partition, now) {
            Next::Deliver(delivery) => delivery,
            other => panic!("{other:?}"),
        }
    }

    /// Nothing is delivered before the instant that this gives.
    fn at(&mut self, partition: u32, now: Nanos) -> Nanos {
        match self.next(partition, now) {
            Next::At(at) => at,
            other => panic!("{other:?}"),
        }
    }
}

fn bodies(delivery: &Delivery) -> Vec<String> {
    let body = |record: &Delivered| String::from_utf8(record.message.body.clone()).unwrap();
    delivery.records.iter().map(body).collect()
}

#[test]
fn the_records_of_a_partition_are_delivered_one_after_the_other() {
    let mut pair = Pair::of_one_partition();
    assert!(matches!(pair.next(0, 0), Next::Idle));
    for body in ["a", "b"] {
        pair.publish(0, body, 5).unwrap();
    }
    let first = pair.deliver(0, 5);
    assert_eq!((bodies(&first), first.first, first.attempt), (vec!["a".to_owned()], 0, 1));
    assert!(matches!(pair.next(0, 5), Next::Idle), "one is under way");
    assert_eq!(pair.group.settle(&first, Outcome::Done, 6), Settled::Done);
    let second = pair.deliver(0, 6);
    assert_eq!((bodies(&second), second.first), (vec!["b".to_owned()], 1));
    assert_eq!(pair.group.settle(&second, Outcome::Done, 9), Settled::Done);
    assert!(matches!(pair.next(0, 9), Next::Idle));
    let counts = &pair.group.counts;
    assert_eq!((counts.delivered, counts.done, counts.largest_lag, pair.group.total_lag()), (2, 2, 2, 0));
    assert_eq!(counts.ages.as_ref().unwrap().count, 2);
}

#[test]
fn a_record_that_fails_is_delivered_again_after_growing_waits_and_then_given_up() {
    let mut pair = Pair::of_one_partition();
    pair.publish(0, "poison", 0).unwrap();
    pair.publish(0, "next", 0).unwrap();
    let mut now = 0;
    for (attempt, wait) in [(1, 1), (2, 2)] {
        let delivery = pair.deliver(0, now);
        assert_eq!((delivery.attempt, delivery.first), (attempt, 0));
        assert_eq!(pair.group.settle(&delivery, Outcome::Retry, now), Settled::Again);
        assert_eq!(pair.at(0, now), now + wait * SECOND, "what is behind it waits too");
        now += wait * SECOND;
    }
    let last = pair.deliver(0, now);
    assert_eq!(pair.group.settle(&last, Outcome::Retry, now), Settled::GivenUp);
    assert_eq!(bodies(&pair.deliver(0, now)), ["next"]);
    let counts = &pair.group.counts;
    assert_eq!((counts.delivered, counts.redelivered, counts.exhausted), (4, 2, 1));
}

#[test]
fn a_record_that_is_rejected_is_given_up_at_once() {
    let mut pair = Pair::of_one_partition();
    pair.publish(0, "poison", 0).unwrap();
    let delivery = pair.deliver(0, 0);
    assert_eq!(pair.group.settle(&delivery, Outcome::Reject, 1), Settled::GivenUp);
    assert_eq!((pair.group.counts.rejected, pair.group.total_lag()), (1, 0));
}

#[test]
fn who_has_no_room_gets_the_record_later_and_as_if_for_the_first_time() {
    let mut pair = Pair::of_one_partition();
    pair.publish(0, "a", 0).unwrap();
    for _ in 0..9 {
        let delivery = pair.deliver(0, 0);
        pair.group.settle(&delivery, Outcome::Busy(0), 0);
    }
    assert_eq!(pair.deliver(0, 0).attempt, 1);
    assert_eq!((pair.group.counts.delivered, pair.group.counts.redelivered), (1, 0));
}

#[test]
fn members_take_the_partitions_in_turn_as_they_join_and_leave() {
    let mut pair = Pair::new(&topic(4, 100, Overflow::DropOldest), &subscription());
    for partition in 0..4 {
        pair.publish(partition, "a", 0).unwrap();
    }
    assert!(matches!(pair.next(0, 0), Next::Idle), "nobody is there");
    let who = |pair: &mut Pair| {
        let delivered: Vec<_> = (0..4).map(|partition| pair.deliver(partition, 0)).collect();
        delivered.iter().for_each(|delivery| _ = pair.group.settle(delivery, Outcome::Busy(0), 0));
        delivered.iter().map(|delivery| delivery.replica).collect::<Vec<_>>()
    };
    pair.group.join(1, 0);
    assert_eq!(who(&mut pair), [1, 1, 1, 1]);
    pair.group.join(0, 0);
    assert_eq!(who(&mut pair), [1, 0, 1, 0]);
    pair.group.join(2, 0);
    assert_eq!(who(&mut pair), [1, 0, 2, 1]);
    pair.group.leave(0, 0);
    assert_eq!(who(&mut pair), [1, 2, 1, 2]);
    assert_eq!(pair.group.counts.rebalances, 4);
}

#[test]
fn the_partitions_of_a_member_that_dies_wait_for_its_session_to_time_out() {
    let mut pair = Pair::new(&topic(2, 100, Overflow::DropOldest), &subscription());
    (0..2).for_each(|replica| pair.group.join(replica, 0));
    (0..2).for_each(|partition| _ = pair.publish(partition, "a", 0));
    let lost = pair.deliver(1, 0);
    assert_eq!(lost.replica, 1);
    pair.group.lose(1, None, SECOND);
    pair.group.settle(&lost, Outcome::Died, SECOND);
    assert_eq!(pair.deliver(0, SECOND).replica, 0, "the others go on");
    assert_eq!(pair.at(1, SECOND), 11 * SECOND);
    let again = pair.deliver(1, 11 * SECOND);
    assert_eq!((again.replica, again.attempt), (0, 2), "at least once");
    assert_eq!(pair.group.members(11 * SECOND), 1);
}

#[test]
fn a_member_that_comes_back_is_another_one() {
    let mut pair = Pair::of_one_partition();
    pair.publish(0, "a", 0).unwrap();
    pair.group.lose(0, None, SECOND);
    pair.group.join(0, 2 * SECOND);
    assert_eq!(pair.group.members(2 * SECOND), 2);
    assert_eq!(pair.at(0, 2 * SECOND), 11 * SECOND, "the broker takes the dead one for alive");
    assert_eq!(pair.deliver(0, 11 * SECOND).replica, 0);
    assert_eq!(pair.group.members(11 * SECOND), 1);
}

#[test]
fn a_member_that_stands_still_has_its_partitions_until_its_session_times_out_and_commits_nothing_later() {
    let mut pair = Pair::of_one_partition();
    pair.group.join(1, 0);
    pair.publish(0, "a", 0).unwrap();
    let first = pair.deliver(0, 0);
    assert_eq!(pair.group.silence(0, None, SECOND), Some(11 * SECOND));
    assert_eq!(pair.group.silence(0, None, 2 * SECOND), None, "nothing is heard of it already");
    assert_eq!((pair.group.taken(10 * SECOND), pair.group.taken(11 * SECOND)), (vec![], vec![0]));
    let again = pair.deliver(0, 11 * SECOND);
    assert_eq!((first.replica, again.replica, again.attempt), (0, 1, 1));
    assert_eq!(pair.group.settle(&first, Outcome::Done, 12 * SECOND), Settled::Again);
    assert_eq!(pair.group.settle(&again, Outcome::Done, 13 * SECOND), Settled::Done);
    assert_eq!((pair.group.counts.revoked, pair.group.counts.done), (1, 1));
    // Back within its session it is the member that it was; later, or when it has died, another one.
    pair.group.silence(1, None, 20 * SECOND);
    pair.group.join(1, 25 * SECOND);
    assert_eq!((pair.group.members(40 * SECOND), pair.group.counts.rebalances), (1, 3));
    pair.group.silence(1, None, 50 * SECOND);
    pair.group.lose(1, None, 55 * SECOND);
    pair.group.join(1, 56 * SECOND);
    assert_eq!((pair.group.members(59 * SECOND), pair.group.members(60 * SECOND)), (2, 1));
}

fn hold(since: Nanos, until: Nanos) -> Hold {
    Hold { fault: 0, window: 1, since, until }
}

#[test]
fn what_is_revoked_counts_for_nothing_and_is_delivered_again_to_another_member() {
    let mut pair = Pair::of_one_partition();
    pair.group.join(1, 0);
    pair.publish(0, "a", 0).unwrap();
    let delivery = pair.deliver(0, 0);
    assert_eq!(pair.group.revoked_by(&delivery), None);
    pair.group.rebalance(hold(0, 3 * SECOND));
    assert_eq!(pair.group.revoked_by(&delivery), Some(hold(0, 3 * SECOND)));
    assert_eq!(pair.group.settle(&delivery, Outcome::Done, SECOND), Settled::Again);
    assert_eq!(pair.at(0, SECOND), 3 * SECOND);
    let again = pair.deliver(0, 3 * SECOND);
    assert_eq!((delivery.replica, again.replica, again.first), (0, 1, 0));
    assert_eq!((pair.group.counts.revoked, pair.group.counts.done, pair.group.counts.rebalances), (1, 0, 3));
}

#[test]
fn a_group_that_is_held_up_gets_nothing_and_lags() {
    let mut pair = Pair::of_one_partition();
    pair.group.hold(hold(0, Nanos::MAX));
    pair.publish(0, "a", SECOND).unwrap();
    assert!(matches!(pair.next(0, SECOND), Next::Idle));
    assert_eq!(pair.group.lag(0), 1);
    pair.group.let_go(0, 5 * SECOND);
    pair.deliver(0, 5 * SECOND);
    let [held] = pair.group.holds() else { panic!("one fault has held it") };
    let kept = [0, SECOND, 5 * SECOND].map(|published| held.keeps(published));
    assert_eq!(kept, [Some(5 * SECOND), Some(4 * SECOND), None]);
}

#[test]
fn a_second_rebalance_holds_up_what_the_first_does_not_let_go() {
    let mut pair = Pair::of_one_partition();
    pair.group.rebalance(hold(SECOND, 3 * SECOND));
    pair.group.rebalance(hold(2 * SECOND, 4 * SECOND));
    assert_eq!(pair.group.holds(), [hold(SECOND, 4 * SECOND)]);
    pair.group.rebalance(hold(9 * SECOND, 10 * SECOND));
    assert_eq!(pair.group.holds(), [hold(9 * SECOND, 10 * SECOND)]);
}

#[test]
fn what_keeps_a_partition_is_known_from_when_its_member_is_away_also_while_a_delivery_is_under_way() {
    let by = |fault| Some(Absence { fault, window: 1 });
    let mut pair = Pair::of_one_partition();
    pair.publish(0, "a", 0).unwrap();
    let first = pair.deliver(0, 0);
    pair.group.silence(0, by(3), SECOND);
    pair.publish(0, "b", 2 * SECOND).unwrap();
    assert_eq!(pair.group.first_untouched(0), 1);
    pair.group.join(0, 5 * SECOND);
    let kept = |fault, since, until| Hold { fault, window: 1, since: since * SECOND, until: until * SECOND };
    assert_eq!(pair.group.kept(0), [kept(3, 1, 5)]);
    pair.group.settle(&first, Outcome::Done, 6 * SECOND);
    // Another fault takes it away before what the first has kept is done, and for longer than its session.
    pair.group.silence(0, by(4), 7 * SECOND);
    assert_eq!(pair.group.members(30 * SECOND), 0);
    pair.group.join(0, 31 * SECOND);
    assert_eq!(pair.group.kept(0), [kept(3, 1, 5), kept(4, 7, 31)]);
    let second = pair.deliver(0, 31 * SECOND);
    assert_eq!((second.first, second.had), (1, 0));
    pair.group.settle(&second, Outcome::Busy(0), 31 * SECOND);
    assert_eq!(pair.group.first_untouched(0), 1, "nobody had it");
    let again = pair.deliver(0, 31 * SECOND);
    pair.group.settle(&again, Outcome::Done, 32 * SECOND);
    assert_eq!(pair.group.kept(0), [kept(3, 1, 5), kept(4, 7, 31)], "later records may have been there");
    pair.publish(0, "c", 40 * SECOND).unwrap();
    let last = pair.deliver(0, 40 * SECOND);
    pair.group.settle(&last, Outcome::Done, 40 * SECOND);
    assert_eq!(pair.group.kept(0), []);
}

/// Publishes a record that faults have struck.
fn publish_struck(pair: &mut Pair, body: &str, now: Nanos, fate: Fate) {
    let record = Record { fate: Some(Rc::new(fate)), ..record(body, now) };
    let offset = pair.log.append(0, record, || Some(0), now).unwrap();
    pair.group.grew(0, offset + 1, now);
}

#[test]
fn a_record_that_is_lost_is_passed_over_and_counted_and_batches_end_before_it() {
    let mut pair = Pair::new(
        &topic(1, 100, Overflow::DropOldest),
        &model::Subscription { batch: 3, poll: 0, ..subscription() },
    );
    pair.group.join(0, 0);
    let lost = || Fate { is_lost: true, ..Fate::default() };
    publish_struck(&mut pair, "lost", 0, lost());
    pair.publish(0, "a", 0).unwrap();
    publish_struck(&mut pair, "lost", 0, lost());
    publish_struck(&mut pair, "lost", 0, lost());
    pair.publish(0, "b", 0).unwrap();
    for (body, first) in [("a", 1), ("b", 4)] {
        let delivery = pair.deliver(0, 0);
        assert_eq!((bodies(&delivery), delivery.first), (vec![body.to_owned()], first));
        pair.group.settle(&delivery, Outcome::Done, 0);
    }
    assert!(matches!(pair.next(0, 0), Next::Idle));
    assert_eq!((pair.group.counts.missed, pair.group.counts.done, pair.group.total_lag()), (3, 2, 0));
}

#[test]
fn a_record_that_is_late_holds_up_those_behind_it() {
    let mut pair = Pair::of_one_partition();
    publish_struck(&mut pair, "late", 0, Fate { hidden: 2 * SECOND, ..Fate::default() });
    pair.publish(0, "a", 0).unwrap();
    assert_eq!(pair.at(0, 0), 2 * SECOND);
    let late = pair.deliver(0, 2 * SECOND);
    assert_eq!(bodies(&late), ["late"]);
    pair.group.settle(&late, Outcome::Done, 2 * SECOND);
    assert_eq!(bodies(&pair.deliver(0, 2 * SECOND)), ["a"]);
}

#[test]
fn a_batch_waits_until_it_is_full_or_has_waited_long_enough() {
    let subscription = model::Subscription { batch: 3, ..subscription() };
    let mut pair = Pair::new(&topic(1, 100, Overflow::DropOldest), &subscription);
    pair.group.join(0, 0);
    pair.publish(0, "a", 0).unwrap();
    assert_eq!(pair.at(0, 0), SECOND / 10);
    pair.publish(0, "b", 7).unwrap();
    assert_eq!(pair.at(0, 7), SECOND / 10);
    assert_eq!(bodies(&pair.deliver(0, SECOND / 10)), ["a", "b"]);
    let mut pair = Pair::new(&topic(1, 100, Overflow::DropOldest), &subscription);
    pair.group.join(0, 0);
    ["a", "b", "c", "d"].iter().for_each(|body| _ = pair.publish(0, body, 0));
    let full = pair.deliver(0, 0);
    assert_eq!(bodies(&full), ["a", "b", "c"]);
    pair.group.settle(&full, Outcome::Retry, 0);
    assert_eq!(bodies(&pair.deliver(0, SECOND)), ["a", "b", "c"], "the same come again");
}

#[test]
fn a_log_that_is_full_drops_its_oldest_records_and_a_group_passes_over_them() {
    for (from, expected, missed) in [(OffsetReset::Earliest, Some("c"), 2), (OffsetReset::Latest, None, 5)] {
        let subscription = model::Subscription { from, ..subscription() };
        let mut pair = Pair::new(&topic(1, 3, Overflow::DropOldest), &subscription);
        pair.group.join(0, 0);
        ["a", "b", "c", "d", "e"].iter().for_each(|body| _ = pair.publish(0, body, 0));
        assert_eq!((pair.log.range(0), pair.log.counts.dropped), ((2, 5), 2));
        match (pair.next(0, 0), expected) {
            (Next::Deliver(delivery), Some(expected)) => assert_eq!(bodies(&delivery), [expected]),
            (Next::Idle, None) => assert_eq!(pair.group.total_lag(), 0),
            (next, _) => panic!("{next:?}"),
        }
        assert_eq!(pair.group.counts.missed, missed);
    }
}

#[test]
fn a_queue_that_is_full_refuses_records_until_the_group_is_done_with_some() {
    let mut pair = Pair::new(&topic(1, 2, Overflow::Refuse), &subscription());
    pair.group.join(0, 0);
    ["a", "b"].iter().for_each(|body| _ = pair.publish(0, body, 0));
    assert_eq!(pair.publish(0, "c", 0), Err(Full));
    let delivery = pair.deliver(0, 0);
    assert_eq!(pair.publish(0, "c", 0), Err(Full), "it is under way");
    pair.group.settle(&delivery, Outcome::Done, 0);
    assert_eq!(pair.publish(0, "c", 0), Ok(2));
    assert_eq!((pair.log.counts.refused, pair.log.counts.published), (2, 3));
}

#[test]
fn records_are_bounded_by_their_bytes_and_their_age() {
    let bytes = Retention { messages: 100, bytes: 5, age: None };
    let mut pair =
        Pair::new(&model::Topic { retain: bytes, ..topic(1, 0, Overflow::DropOldest) }, &subscription());
    ["12", "34", "56"].iter().for_each(|body| _ = pair.publish(0, body, 0));
    assert_eq!(pair.log.range(0), (1, 3));
    pair.publish(0, "a large one", 0).unwrap();
    assert_eq!(pair.log.range(0), (3, 4), "one is kept in any case");
    let age = Retention { messages: 100, bytes: 100, age: Some(SECOND) };
    let aged = model::Topic { retain: age, ..topic(1, 0, Overflow::DropOldest) };
    let mut pair = Pair::new(&aged, &subscription());
    (0..4).for_each(|number| _ = pair.publish(0, "a", number * SECOND / 2));
    pair.log.expire(0, 5 * SECOND / 2 - 1);
    assert_eq!((pair.log.range(0), pair.log.counts.expired), ((3, 4), 3));
}

#[test]
fn the_partitions_of_a_topic_have_a_bound_in_bytes_together() {
    let retain = Retention { messages: 1_000, bytes: 64 << 20, age: None };
    let topic = |overflow| model::Topic { retain, ..topic(100, 1_000, overflow) };
    let mut log = Log::new(&topic(Overflow::DropOldest), &Rc::default());
    // One message in memory, kept many times.
    let message = record(&"x".repeat(1 << 20), 0).message;
    for number in 0..3_000 {
        let record = Record { message: Rc::clone(&message), published: 0, copy: 0, fate: None };
        log.append(number % 100, record, || None, 0).expect("the oldest go");
    }
    let account = log.account(Vec::new());
    assert!((1_000..=1_024).contains(&account.kept), "{}", account.kept);
    assert_eq!(account.kept + account.counts.dropped, 3_000);

    let mut full = Log::new(&topic(Overflow::Refuse), &Rc::default());
    let mut append = |number: u32| {
        let record = Record { message: Rc::clone(&message), published: 0, copy: 0, fate: None };
        full.append(number % 99, record, || None, 0)
    };
    assert!((0..1_000).all(|number| append(number).is_ok()));
    assert_eq!((1_000..1_100).filter_map(|number| append(number).err()).last(), Some(Full));
    // A partition that has nothing keeps one in any case.
    let record = Record { message: Rc::clone(&message), published: 0, copy: 0, fate: None };
    assert_eq!(full.append(99, record, || None, 0), Ok(0));
}

#[test]
fn the_topics_of_a_world_have_a_bound_in_bytes_together() {
    let retain = Retention { messages: 1_000, bytes: 64 << 20, age: None };
    let topic = model::Topic { retain, ..topic(100, 1_000, Overflow::DropOldest) };
    let all = Rc::default();
    let mut logs: Vec<Log> = (0..6).map(|_| Log::new(&topic, &all)).collect();
    let message = record(&"x".repeat(1 << 20), 0).message;
    let append = |log: &mut Log, number: u32| {
        let record = Record { message: Rc::clone(&message), published: 0, copy: 0, fate: None };
        log.append(number % 100, record, || None, 0).expect("the oldest go");
    };
    logs.iter_mut().for_each(|log| (0..900).for_each(|number| append(log, number)));
    let kept = logs.iter().map(|log| log.account(Vec::new()).kept).collect::<Vec<_>>();
    assert_eq!(kept[..4], [900; 4]);
    // What is left for the fifth, and one message in each partition of the last.
    assert!((400..500).contains(&kept[4]) && kept[5] == 100, "{kept:?}");
    assert_eq!(all.get(), kept.iter().sum::<u64>() * ((1 << 20) + 512));
}
