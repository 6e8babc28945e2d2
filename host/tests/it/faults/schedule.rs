//! The arithmetic of windows.

use proptest::prelude::*;
use simhost::fault::{SHORTEST, Window, Windows};
use simhost::model::{Distribution, Nanos, Schedule, When};
use simhost::rng::{Key, Purpose};

fn key(seed: u64) -> Key {
    Key::new(seed, Purpose::Window).with_name("fault")
}

fn windows(schedule: Schedule, start: Nanos) -> Windows {
    Windows::new(&When { schedule, ramp: 0 }, start, key(1))
}

/// Windows in order, none of which touches the inside of another.
fn assert_in_order(windows: &[Window]) -> Result<(), TestCaseError> {
    for pair in windows.windows(2) {
        prop_assert!(pair[0].closes.is_some_and(|closes| closes <= pair[1].opens), "{pair:?}");
    }
    for window in windows {
        prop_assert!(window.closes.is_none_or(|closes| closes > window.opens), "{window:?}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn windows_of_a_schedule_are_where_its_arithmetic_has_them(
        start in 0..Nanos::MAX / 2,
        at in 0..1_000_000_000_u64,
        lasting in 1..1_000_000_000_u64,
        calm in 0..1_000_000_000_u64,
        probe in 0..100_000_000_000_u64,
    ) {
        let every = lasting + calm;
        let schedule = Schedule::Fixed {
            at: Distribution::Fixed(at),
            lasting: Some(Distribution::Fixed(lasting)),
            every: Some(every),
        };
        let count = usize::try_from(probe / every + 2).expect("few");
        let open: Vec<_> = windows(schedule, start).take(count.min(10_000)).collect();
        assert_in_order(&open)?;
        for (number, window) in (0..).zip(&open) {
            prop_assert_eq!(window.opens, start + at + number * every);
            prop_assert_eq!(window.closes, Some(window.opens + lasting));
        }
        // The same by the remainder, at an instant anywhere.
        let instant = start + probe;
        if open.last().is_some_and(|last| last.opens > instant) {
            let is_open = open.iter().any(|window| window.opens <= instant && !window.has_closed(instant));
            prop_assert_eq!(is_open, probe >= at && (probe - at) % every < lasting);
        }
    }

    #[test]
    fn windows_that_would_overlap_are_cut(
        lasting in 1..1_000_000_u64,
        every in 1..1_000_000_u64,
    ) {
        let schedule = Schedule::Fixed {
            at: Distribution::Fixed(0),
            lasting: Some(Distribution::Fixed(lasting)),
            every: Some(every),
        };
        let open: Vec<_> = windows(schedule, 0).take(10).collect();
        assert_in_order(&open)?;
        prop_assert!(open.iter().all(|window| window.closes == Some(window.opens + lasting.min(every))));
    }

    #[test]
    fn windows_end_with_time_and_not_before(
        start in 0..Nanos::MAX,
        at in 0..Nanos::MAX,
        lasting in proptest::option::of(1..Nanos::MAX),
        every in proptest::option::of(Nanos::MAX / 100..Nanos::MAX),
    ) {
        let schedule =
            Schedule::Fixed { at: Distribution::Fixed(at), lasting: lasting.map(Distribution::Fixed), every };
        let open: Vec<_> = windows(schedule, start).take(200).collect();
        prop_assert!(open.len() < 200);
        prop_assert_eq!(open.is_empty(), start.checked_add(at).is_none());
        assert_in_order(&open)?;
    }

    #[test]
    fn incidents_last_and_leave_calm_whatever_is_drawn(
        seed in any::<u64>(),
        mean in 1..10_000_000_000_u64,
        hold in 0..10_000_000_000_u64,
    ) {
        let schedule = Schedule::Random {
            between: Distribution::Exponential { mean },
            hold: Distribution::Normal { mean: hold, stddev: hold },
        };
        let when = When { schedule, ramp: 0 };
        let open: Vec<_> = Windows::new(&when, 77, key(seed)).take(50).collect();
        prop_assert_eq!(open.len(), 50);
        assert_in_order(&open)?;
        let mut calm_from = 77;
        for window in &open {
            let closes = window.closes.expect("an end");
            prop_assert!(window.opens >= calm_from + SHORTEST && closes >= window.opens + SHORTEST);
            calm_from = closes;
        }
        let again: Vec<_> = Windows::new(&when, 77, key(seed)).take(50).collect();
        prop_assert_eq!(again, open);
    }

    #[test]
    fn a_window_that_is_drawn_opens_and_lasts_within_what_its_distributions_allow(
        seed in any::<u64>(),
        at in 0..1_000_000_000_u64,
        lasting in 1..1_000_000_000_u64,
        spread in 0..1_000_000_000_u64,
    ) {
        let uniform = |least| Distribution::Uniform { min: least, max: least + spread };
        let every = 4_000_000_000;
        let (at_drawn, length) = (uniform(at), Some(uniform(lasting)));
        let schedule = Schedule::Fixed { at: at_drawn, lasting: length, every: Some(every) };
        let when = When { schedule, ramp: 0 };
        let open: Vec<_> = Windows::new(&when, 77, key(seed)).take(5).collect();
        assert_in_order(&open)?;
        prop_assert!((77 + at..=77 + at + spread).contains(&open[0].opens));
        for (number, window) in (0..).zip(&open) {
            prop_assert_eq!(window.opens, open[0].opens + number * every);
            let length = window.closes.expect("an end") - window.opens;
            prop_assert!((lasting..=lasting + spread).contains(&length));
        }
        let again: Vec<_> = Windows::new(&when, 77, key(seed)).take(5).collect();
        prop_assert_eq!(again, open);
    }

    #[test]
    fn a_fault_grows_and_shrinks_evenly_within_its_window(
        opens in 0..1_000_000_000_u64,
        ramp in 1..1_000_000_000_u64,
        plateau in 0..1_000_000_000_u64,
        share in 0.0..1.0_f64,
    ) {
        let window = Window { opens, closes: Some(opens + 2 * ramp + plateau) };
        let strength = |at: Nanos| window.strength(at, ramp);
        let into = (ramp as f64 * share) as Nanos;
        let expected = into as f64 / ramp as f64;
        prop_assert!((strength(opens + into) - expected).abs() < 1e-9);
        prop_assert!((strength(opens + 2 * ramp + plateau - into) - expected).abs() < 1e-9);
        prop_assert!((strength(opens + ramp + plateau / 2) - 1.0).abs() < 1e-9);
        // One that stays open only grows; one without a ramp is there at once.
        let endless = Window { opens, closes: None };
        prop_assert!((endless.strength(opens + into, ramp) - expected).abs() < 1e-9);
        prop_assert!((endless.strength(Nanos::MAX, ramp) - 1.0).abs() < 1e-9);
        prop_assert!((window.strength(opens, 0) - 1.0).abs() < 1e-9);
    }
}

#[test]
fn draws_of_incidents_are_pinned_so_that_seeds_keep_their_meaning() {
    let schedule = Schedule::Random {
        between: Distribution::Exponential { mean: 600_000_000_000 },
        hold: Distribution::Fixed(30_000_000_000),
    };
    let first: Vec<_> = windows(schedule, 0).take(3).map(|window| window.opens).collect();
    assert_eq!(first, [341_196_294_137, 489_690_848_129, 1_318_174_434_141]);
}

#[test]
fn a_fault_without_a_schedule_is_always_there() {
    let open: Vec<_> = windows(Schedule::Always, 5).collect();
    assert_eq!(open, [Window { opens: 5, closes: None }]);
}
