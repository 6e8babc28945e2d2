//! Which requests a strike counts for.

use std::num::{NonZeroU64, NonZeroU128};

use smallvec::SmallVec;

use super::super::event::{Drawn, Firing};
use super::super::impact::{FaultImpact, RequestEnd, UNFINISHED};
use super::*;

fn span(number: u64) -> SpanId {
    SpanId(NonZeroU64::new(number).expect("not zero"))
}

const TRACE: TraceId = TraceId(NonZeroU128::MIN);

/// Three services in a row, each with one route.
const ROUTES: [ServiceRoute; 3] = [(ServiceId(0), Some(0)), (ServiceId(1), Some(0)), (ServiceId(2), Some(0))];

/// A request from outside to the first, by span 1, with calls by 2 and 4 that bring
/// requests by 3 and 5.
struct Chain {
    ledger: Rc<Ledger>,
    entered: Option<Entered>,
    steps: Vec<Option<UnderWay>>,
}

impl Chain {
    fn new(arrived: Nanos) -> Self {
        let ledger = Rc::new(Ledger::default().with_impact(ImpactTracker::new(1, true)));
        let entered = ledger.enters(TRACE, span(1), arrived, || ROUTES[0]);
        let steps = vec![
            ledger.visits(span(1), None),
            ledger.calls(span(2), Some(span(1))),
            ledger.visits(span(3), Some(span(2))),
            ledger.calls(span(4), Some(span(3))),
            ledger.visits(span(5), Some(span(4))),
        ];
        for (route, number) in ROUTES.into_iter().zip([1, 3, 5]) {
            ledger.meets(span(number), route);
        }
        Self { ledger, entered, steps }
    }

    /// What there is to say when the fault has struck at `within`.
    fn strike(&self, within: u64, route: ServiceRoute) {
        self.ledger.fired(Firing {
            rule: "it".into(),
            index: 0,
            kind: "latency",
            time: 100,
            kept_since: None,
            window: 1,
            after: None,
            service: route.0,
            database: None,
            cache: None,
            topic: None,
            replica: None,
            resource: None,
            route: route.1,
            from: None,
            trace: Some(TRACE),
            within: Some(span(within)),
            client: None,
            signs: SmallVec::new(),
            shown: None,
            drawn: Drawn::Nothing,
        });
    }

    fn end(self) -> FaultImpact {
        drop(self.steps);
        drop(self.entered);
        self.ledger.impact().expect("an impact").touched.remove(0)
    }
}

#[test]
fn a_strike_touches_all_that_wait_for_the_struck_request() {
    let chain = Chain::new(10);
    chain.strike(5, ROUTES[2]);
    chain.strike(5, ROUTES[2]);
    chain.entered.as_ref().expect("an impact").answered(70, Ok(503));
    let touched = chain.end();
    assert_eq!(touched.first, Some(100));
    assert_eq!(Vec::from_iter(touched.struck), [ROUTES[2]]);
    assert_eq!(Vec::from_iter(touched.upstream), [ROUTES[0], ROUTES[1]]);
    // The same request, struck twice.
    assert_eq!((touched.requests, touched.failed), (1, 1));
    let symptom = touched.first_request.expect("a symptom");
    assert_eq!((symptom.span, symptom.to, symptom.due), (span(1), ROUTES[0], 10));
    assert_eq!(symptom.end, Some(RequestEnd { took: 60, answer: Ok(503) }));
}

#[test]
fn what_strikes_a_call_befalls_its_caller() {
    let chain = Chain::new(10);
    chain.strike(4, ROUTES[2]);
    let touched = chain.end();
    assert_eq!(Vec::from_iter(touched.upstream), [ROUTES[0], ROUTES[1]]);
    assert_eq!(touched.requests, 1);
}

#[test]
fn what_strikes_the_request_from_outside_befalls_nobody_else() {
    let chain = Chain::new(10);
    chain.strike(1, ROUTES[0]);
    let touched = chain.end();
    assert!(touched.upstream.is_empty(), "{touched:?}");
    assert_eq!(touched.requests, 1);
}

#[test]
fn a_caller_that_has_given_up_on_a_call_still_has_it_in_its_request() {
    let mut chain = Chain::new(10);
    // The first call is given up, and the request behind it answered; what that has called works on.
    chain.steps[1] = None;
    chain.steps[2] = None;
    chain.strike(5, ROUTES[2]);
    let touched = chain.end();
    assert_eq!(Vec::from_iter(touched.upstream), [ROUTES[0]]);
    assert_eq!(touched.requests, 1);
}

#[test]
fn a_request_that_was_answered_before_is_not_befallen() {
    let mut chain = Chain::new(10);
    chain.entered.as_ref().expect("an impact").answered(20, Ok(200));
    chain.steps[0] = None;
    chain.strike(5, ROUTES[2]);
    let touched = chain.end();
    assert_eq!(Vec::from_iter(touched.upstream), [ROUTES[1]]);
    assert_eq!((touched.requests, touched.first_request), (0, None));
}

#[test]
fn requests_are_remembered_in_the_order_in_which_they_were_due() {
    let ledger = Rc::new(Ledger::default().with_impact(ImpactTracker::new(0, true)));
    let enter = |number| ledger.enters(TRACE, span(number), number, || ROUTES[0]);
    let mut all: Vec<_> = (1..=4).map(enter).collect();
    for (at, answer) in [(2, Ok(200)), (0, Err("connection_reset"))] {
        all[at].take().expect("an impact").answered(50, answer);
    }
    let impact = ledger.impact().expect("an impact");
    let ends: Vec<_> =
        impact.requests.iter().map(|request| (request.due, request.end.map(|end| end.answer))).collect();
    assert_eq!(ends, [(1, Some(Err("connection_reset"))), (2, None), (3, Some(Ok(200))), (4, None)]);
    assert_eq!(impact.count, 4);
    let errors: Vec<_> = impact.errors.iter().map(|(kind, count)| (&**kind, *count)).collect();
    assert_eq!(errors, [("connection_reset", 1), (UNFINISHED, 2)]);
}

#[test]
fn a_load_says_how_its_requests_end_and_not_the_service() {
    let chain = Chain::new(10);
    let entered = chain.entered.as_ref().expect("an impact");
    let client = entered.client(5);
    client.answered(30, Err("timeout"));
    entered.answered(40, Ok(200));
    // What strikes later, the client does not see.
    chain.strike(5, ROUTES[2]);
    drop(client);
    let Chain { ledger, entered, steps } = chain;
    drop((entered, steps));
    let impact = ledger.impact().expect("an impact");
    assert_eq!(impact.touched[0].requests, 0);
    assert_eq!(impact.requests[0].end, Some(RequestEnd { took: 25, answer: Err("timeout") }));
}

#[test]
fn without_a_tracker_nothing_is_kept() {
    let ledger = Rc::new(Ledger::default());
    assert!(ledger.enters(TRACE, span(1), 0, || panic!("nobody asks where")).is_none());
    assert!(ledger.visits(span(1), None).is_none());
    assert!(ledger.calls(span(2), Some(span(1))).is_none());
    assert!(ledger.impact().is_none());
}
