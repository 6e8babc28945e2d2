use super::*;

const A: ServiceId = ServiceId(0);
const B: ServiceId = ServiceId(1);

fn place(service: ServiceId) -> At {
    At { service, route: Some(0), instance: ResourceId(0) }
}

fn stats() -> Stats {
    let capacity = Capacity { replicas: 1, workers: 2, queue: 8 };
    let service = |name: &str| ServiceAccount::of_guest(name.into(), vec!["GET /".into()], capacity);
    Stats::new(vec![service("a"), service("b")], 0)
}

/// A request to `a` from outside, which calls `b`, where it waits.
fn request(stats: &Stats, at: Nanos) {
    let outer = stats.calling(None, Some(A), at);
    stats.sent(outer);
    stats.arrived(A, false, at);
    stats.begun(A, at + 1);
    let inner = stats.calling(Some(A), Some(B), at + 2);
    stats.sent(inner);
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
    assert!(held.contains("a: jobs of workers begun, and ended: 2 is not 1"), "{held}");
    let lost = check(&|stats| {
        let ticket = stats.calling(Some(A), Some(B), 500);
        stats.sent(ticket);
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
fn two_worlds_merged_break_no_law_and_have_twice_the_replicas() {
    let (one, two) = (stats(), stats());
    request(&one, 100);
    request(&two, 150);
    let unknown = two.calling(Some(B), None, 200);
    two.called(unknown, 200, Some("unknown_service".into()));
    let did = PolicyAccount { resends: 1, withheld: 2, opened: 3, fallbacks: 4 };
    for (stats, times) in [(&one, 2), (&two, 1)] {
        let ticket = stats.calling(Some(B), Some(A), 300);
        (0..times).for_each(|_| stats.policies(ticket, |account| account.merge(did)));
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
    let ticket = stats.calling(None, Some(A), 100);
    stats.arrived(A, false, 100);
    assert_eq!(stats.close(200).services[0].inside.level(), 1);
    stats.called(ticket, 300, Some("cancelled".into()));
    stats.sent(stats.calling(Some(A), Some(B), 300));
    stats.left(place(A), 100, 300, None);
    assert_eq!(stats.close(400).services.len(), 0);
}
