//! That metrics find their numbers, and that every number is in the report.

use serde_json::json;

use super::*;

fn of(metric: &str, report: &Value) -> Option<f64> {
    Metric::parse(metric).unwrap_or_else(|why| panic!("{metric}: {why:?}")).of(report)
}

#[test]
fn a_metric_finds_its_number() {
    let report = json!({
        "requests": 7,
        "loads": [{ "name": "shoppers", "requests": 10, "count": 8, "errors": 2, "p99_ns": 5_000_000 }],
        "links": [{ "from": "a", "to": "b", "count": 30, "policies": { "resends": 4 } },
                  { "from": null, "to": "b", "count": 1 }],
        "services": [{ "service": "a", "replicas": 2, "workers": 3 }],
        "databases": [{ "database": "d", "statements": [{ "count": 2 }, { "count": 3 }],
                        "pools": [{ "service": "a", "waited": 9 }] }],
        "caches": [{ "cache": "c", "hit_ratio": null }],
    });
    let all = [
        ("load shoppers error-share", Some(0.25)),
        ("load shoppers p99", Some(5e6)),
        ("load nobody p99", None),
        ("link a -> b calls", Some(30.0)),
        ("link a -> b resends", Some(4.0)),
        ("link a -> b opened", Some(0.0)),
        ("service a all-workers", Some(6.0)),
        ("database d statements", Some(5.0)),
        ("pool a -> d waited", Some(9.0)),
        ("cache c hit-share", None),
        ("run requests", Some(7.0)),
        ("run all-workers", Some(6.0)),
    ];
    for (metric, wanted) in all {
        assert_eq!(of(metric, &report), wanted, "{metric}");
    }
}

#[test]
fn every_measure_is_a_key_of_the_report() {
    let schema = serde_json::to_string(&Report::schema()).expect("JSON");
    for measure in SUBJECTS.iter().flat_map(|(_, _, own, _)| own.iter()).chain(&NUMBERS) {
        let keys = match measure.from {
            From::Key(key) => vec![key],
            From::In(one, other)
            | From::Share(one, other)
            | From::Product(one, other)
            | From::Sum(one, other) => vec![one, other],
            From::Products(rows, [one, other]) => vec![rows, one, other],
        };
        let missing = keys.iter().find(|key| !schema.contains(&format!("\"{key}\":{{")));
        assert_eq!(missing, None, "{}", measure.name);
    }
}

#[test]
fn what_is_no_metric_is_refused_with_what_to_write() {
    let refused = |text: &str| Metric::parse(text).expect_err(text);
    assert!(refused("laod x p99").1.starts_with("did you mean \"load\"?"));
    assert_eq!(refused("load x p98").0, "\"p98\" is not measured of a load");
    assert_eq!(refused("link a b calls").1, "write it as \"link A -> B MEASURE\"");
}
