use super::*;

const A: ServiceId = ServiceId(0);
const B: ServiceId = ServiceId(1);

fn place(service: ServiceId) -> At {
    At { service, route: Some(0), instance: ResourceId(0), trace: None }
}

fn stats() -> Stats {
    let capacity = Capacity { replicas: 1, workers: 2, queue: 8 };
    let service = |name: &str| ServiceAccount::of_guest(name.into(), vec!["GET /".into()], capacity);
    Stats::new(vec![service("a"), service("b")], 0)
}

/// A request to `a` from outside, which calls `b`, where it waits.
fn request(stats: &Stats, at: Nanos) {
    let mut outer = stats.calling(None, Some(A));
    stats.sent(&mut outer, true, at);
    stats.arrived(A, false, at);
    stats.begun(A, at + 1);
    let mut inner = stats.calling(Some(A), Some(B));
    stats.sent(&mut inner, true, at + 2);
    stats.arrived(B, true, at + 3);
    stats.queued(B, 1, at + 3);
    stats.called_up(B, at + 3, at + 7);
    stats.begun(B, at + 7);
    stats.done(B, at + 7, at + 12);
    stats.left(place(B), at + 3, at + 12, Some("503".into()));
    stats.called(inner, at + 13, Some("503".into()));
    stats.done(A, at + 1, at + 14);
    stats.left(place(A), at, at + 14, None);
    stats.called(outer, at + 14, None);
}

#[test]
fn a_run_whose_requests_all_ended_breaks_no_law() {
    let stats = stats();
    [100, 200, 300].into_iter().for_each(|at| request(&stats, at));
    let accounts = stats.close(1_000);
    assert_eq!(accounts.broken(), []);
    let b = &accounts.services[1];
    assert_eq!((b.all().count, b.all().failed(), b.longest_queue), (3, 3, 1));
    assert_eq!(b.waits.as_ref().map(|waits| (waits.count, waits.total)), Some((3, 12)));
    assert!((b.utilisation(1_000) - 15.0 / 2_000.0).abs() < 1e-12);
    let links: Vec<_> =
        accounts.links().map(|(from, link)| (accounts.caller(from), accounts.callee(link.to))).collect();
    assert_eq!(links, [("(outside)", "a"), ("a", "b")]);
}

#[test]
fn what_never_ends_or_never_arrives_is_found() {
    let check = |spoil: &dyn Fn(&Stats)| {
        let stats = stats();
        request(&stats, 100);
        spoil(&stats);
        let broken = stats.close(1_000).broken();
        broken.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let left_open = check(&|stats| stats.arrived(A, false, 500));
    assert!(left_open.contains("a: requests begun, and ended: 2 is not 1"), "{left_open}");
    assert!(left_open.contains("their times together (ns): 514 is not 14"), "{left_open}");
    let held = check(&|stats| stats.begun(A, 500));
    assert!(held.contains("a: work of workers begun, and ended: 2 is not 1"), "{held}");
    let lost = check(&|stats| {
        let mut ticket = stats.calling(Some(A), Some(B));
        stats.sent(&mut ticket, true, 500);
        stats.called(ticket, 600, Some("timeout".into()));
    });
    assert_eq!(lost, "b: calls sent to it, and calls that arrived or were lost: 2 is not 1");
    let wrong_time = check(&|stats| {
        stats.arrived(A, false, 500);
        stats.left(place(A), 510, 520, None);
    });
    let expected = "a: requests, their number over time, and their times together (ns): 34 is not 24";
    assert_eq!(wrong_time, expected);
}

#[test]
fn what_was_not_sent_is_an_error_without_a_time_and_never_under_way() {
    let stats = stats();
    let mut sent = stats.calling(Some(A), Some(B));
    stats.sent(&mut sent, false, 100);
    for _ in 0..3 {
        stats.called(stats.calling(Some(A), Some(B)), 150, Some("bulkhead_full".into()));
    }
    stats.called(sent, 200, None);
    let accounts = stats.close(1_000);
    assert_eq!(accounts.broken(), []);
    let (_, link) = accounts.links().next().expect("a link");
    assert_eq!((link.calls.count, link.unsent, link.calls.failed()), (4, 3, 3));
    assert_eq!((link.under_way.most(), link.calls.mean()), (1, 100.0));
    let mut twice = accounts.clone();
    twice.merge(&accounts);
    assert_eq!(twice.links().next().map(|(_, link)| link.unsent), Some(6));
}

#[test]
fn two_worlds_merged_break_no_law_and_have_twice_the_replicas() {
    let (one, two) = (stats(), stats());
    request(&one, 100);
    request(&two, 150);
    let unknown = two.calling(Some(B), None);
    two.called(unknown, 200, Some("unknown_service".into()));
    let did = PolicyAccount { resends: 1, withheld: 2, opened: 3, fallbacks: 4 };
    for (stats, times) in [(&one, 2), (&two, 1)] {
        let ticket = stats.calling(Some(B), Some(A));
        (0..times).for_each(|_| stats.policies(ticket, did));
        stats.called(ticket, 300, Some("circuit_open".into()));
    }
    let mut merged = one.close(1_000);
    merged.merge(&two.close(1_000));
    assert_eq!(merged.broken(), []);
    let a = &merged.services[0];
    assert_eq!((a.all().count, a.capacity.map(|capacity| capacity.replicas)), (2, Some(2)));
    assert_eq!(merged.links().count(), 4);
    let policies: Vec<_> = merged.links().filter_map(|(_, link)| link.policies).collect();
    assert_eq!(policies, [PolicyAccount { resends: 3, withheld: 6, opened: 9, fallbacks: 12 }]);
    assert!((a.utilisation(1_000) - 26.0 / 4_000.0).abs() < 1e-12);
}

#[test]
fn what_is_cut_off_after_the_end_counts_for_nothing() {
    let stats = stats();
    let mut ticket = stats.calling(None, Some(A));
    stats.sent(&mut ticket, false, 100);
    stats.arrived(A, false, 100);
    assert_eq!(stats.close(200).services[0].inside.level(), 1);
    stats.called(ticket, 300, Some("cancelled".into()));
    stats.sent(&mut stats.calling(Some(A), Some(B)), true, 300);
    stats.left(place(A), 100, 300, None);
    assert_eq!(stats.close(400).services.len(), 0);
}

/// Two requests while requests are made, of which one waits and calls on after them.
#[test]
fn what_drains_after_the_last_request_has_no_part_in_rates_and_means() {
    let stats = stats();
    stats.requests_begin(100);
    request(&stats, 100);
    let mut straggler = stats.calling(None, Some(A));
    stats.sent(&mut straggler, true, 150);
    stats.arrived(A, false, 150);
    stats.begun(A, 150);
    stats.requests_end(200);
    stats.requests_end(5_000);
    let mut inner = stats.calling(Some(A), None);
    stats.sent(&mut inner, false, 900);
    stats.called(inner, 950, Some("unknown_service".into()));
    stats.done(A, 150, 1_000);
    stats.left(place(A), 150, 1_000, None);
    stats.called(straggler, 1_000, None);
    let accounts = stats.close(9_000);
    assert_eq!((accounts.duration(), accounts.drain(), accounts.drained), (100, 800, 1));
    let a = &accounts.services[0];
    assert_eq!((a.all().count, a.all().rate(accounts.duration())), (2, 2e7));
    // 13 and 50 of 100 nanoseconds, of two workers.
    assert!((a.utilisation(accounts.duration()) - 63.0 / 200.0).abs() < 1e-12);
    let calls =
        |to| accounts.links().find(|(from, link)| *from == Some(A) && link.to == to).expect("a link").1;
    let rate = |to| calls(to).calls.rate(accounts.duration());
    assert_eq!((calls(None).calls.count, rate(None), rate(Some(B))), (1, 0.0, 1e7));
    assert_eq!(accounts.broken(), []);
}
