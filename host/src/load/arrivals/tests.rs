use super::*;
use crate::rng::Purpose;

const S: Nanos = 1_000_000_000;

fn due(curve: Curve, spacing: Spacing) -> Due {
    Due::new(&Arrivals::Curve { curve, spacing }, Key::new(7, Purpose::Arrival).with_name("test"))
}

fn steady(rate: Rate) -> Curve {
    Curve::Lines { points: vec![(0, rate)], after: After::Hold }
}

/// The instants before `end`, in seconds.
fn until(mut due: Due, end: f64) -> Vec<f64> {
    let mut instants = Vec::new();
    while let Some(at) = due.next().map(seconds).filter(|at| *at < end) {
        instants.push(at);
    }
    instants
}

fn between(instants: &[f64], from: f64, to: f64) -> usize {
    instants.iter().filter(|at| (from..to).contains(*at)).count()
}

#[test]
fn a_constant_rate_is_kept_to_the_nanosecond() {
    let mut due = due(steady(100.0 / 60.0), Spacing::Even);
    let instants: Vec<_> = (0..=6_000).map_while(|_| due.next()).collect();
    assert_eq!(instants[..3], [0, 600_000_000, 1_200_000_000]);
    assert_eq!(instants[6_000], 3_600 * S);
}

#[test]
fn gaps_of_a_poisson_process_have_mean_and_deviation_alike() {
    let mut due = due(steady(50.0), Spacing::Poisson);
    let instants: Vec<_> = (0..=100_000).map_while(|_| due.next()).collect();
    let gaps: Vec<f64> = instants.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 2e7).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let variance = gaps.iter().map(|gap| (gap - mean) * (gap - mean)).sum::<f64>() / gaps.len() as f64;
    // Four standard errors: 1 / sqrt(n) of the mean, sqrt(8 / n) of the variance.
    assert!((mean - 1.0).abs() < 0.013, "{mean}");
    assert!((variance - 1.0).abs() < 0.036, "{variance}");
}

#[test]
fn counts_of_a_poisson_process_have_mean_and_variance_alike() {
    let instants = until(due(steady(20.0), Spacing::Poisson), 10_000.0);
    let mut counts = vec![0.0_f64; 10_000];
    instants.iter().for_each(|at| counts[*at as usize] += 1.0);
    let mean = counts.iter().sum::<f64>() / 1e4;
    let variance = counts.iter().map(|count| (count - mean) * (count - mean)).sum::<f64>() / 1e4;
    assert!((mean - 20.0).abs() < 0.18, "{mean}");
    assert!((variance - 20.0).abs() < 1.2, "{variance}");
}

#[test]
fn a_ramp_makes_as_many_as_the_area_below_it() {
    let curve = |after| Curve::Lines { points: vec![(0, 0.0), (100 * S, 50.0)], after };
    // Half of 100 s at 50/s; a quarter of them in the first half of the time.
    let instants = until(due(curve(After::End), Spacing::Even), 1e6);
    assert_eq!((instants.len(), between(&instants, 0.0, 50.0)), (2_500, 625));
    let instants = until(due(curve(After::Hold), Spacing::Even), 110.0);
    assert_eq!(between(&instants, 100.0, 110.0), 500);
    let down = Curve::Lines { points: vec![(0, 50.0), (100 * S, 0.0)], after: After::Hold };
    let instants = until(due(down, Spacing::Even), 1e6);
    assert_eq!((instants.len(), between(&instants, 0.0, 50.0)), (2_500, 1_875));
    let instants = until(due(curve(After::End), Spacing::Poisson), 1e6);
    // Four deviations of a Poisson number.
    assert!(instants.len().abs_diff(2_500) < 200, "{}", instants.len());
}

#[test]
fn what_repeats_repeats_without_drifting() {
    // Ten seconds of 100/s in each minute of 1/s.
    let points = vec![(0, 101.0), (10 * S, 101.0), (10 * S, 1.0), (60 * S, 1.0)];
    let curve = Curve::Lines { points, after: After::Repeat };
    let instants = until(due(curve, Spacing::Even), 36_000.0);
    assert_eq!(instants.len(), 600 * 1_060);
    for minute in [0.0, 1.0, 599.0] {
        let start = minute * 60.0;
        assert_eq!(between(&instants, start, start + 10.0), 1_010, "{minute}");
        assert_eq!(between(&instants, start + 10.0, start + 60.0), 50, "{minute}");
    }
}

#[test]
fn a_wave_makes_as_many_as_the_area_below_it() {
    let day = 86_400.0;
    let wave = Curve::Wave { min: 0.0, max: 0.2, period: 86_400 * S, peak: 14 * 3_600 * S };
    let instants = until(due(wave, Spacing::Even), 2.0 * day);
    // Within one, as a period's area need not be a whole number.
    assert!(instants.len().abs_diff(17_280) <= 1, "{}", instants.len());
    let day_time = between(&instants, 8.0 * 3_600.0, 20.0 * 3_600.0) as f64;
    // Half a day at 0.1, and the area of the cosine above it: 0.1 · day / π.
    let expected = 0.1 * day / 2.0 + 0.1 * day / std::f64::consts::PI;
    assert!((day_time - expected).abs() <= 1.0, "{day_time}, not {expected}");
    let hour = |hour: f64| between(&instants, hour * 3_600.0, (hour + 1.0) * 3_600.0);
    assert!((0..24).all(|other| hour(f64::from(other)) <= hour(13.0).max(hour(14.0))));
}

#[test]
fn recorded_instants_come_as_they_are() {
    let instants: Arc<[Nanos]> = Arc::from([3, 3, 9]);
    let mut due = Due::new(&Arrivals::Replay(Replay::Read(instants)), Key::new(7, Purpose::Arrival));
    assert_eq!([(); 4].map(|()| due.next()), [Some(3), Some(3), Some(9), None]);
}
