use super::*;
use crate::model::{Arrivals, Literal, Replay, ServiceId, Traffic, Value};

fn load(draws: Vec<Draw>) -> Load {
    let values = draws.into_iter().enumerate();
    Load {
        name: "test".to_owned(),
        to: ServiceId(0),
        requests: Vec::new(),
        values: values.map(|(index, draw)| Value { name: index.to_string(), draw }).collect(),
        traffic: Traffic::Open(Arrivals::Replay(Replay::Read([].into()))),
        start: 0,
        lasts: None,
        max_requests: None,
        max_in_flight: 1,
        timeout: None,
        span: false,
        real_time: true,
        enabled: true,
        place: 0..0,
    }
}

/// What the only value is, in the requests of an open loop.
fn drawn(draw: Draw, form: Form, count: u64) -> Vec<String> {
    let load = load(vec![draw]);
    let template = Template(vec![Piece::Value { index: 0, form }]);
    let chance = Key::new(7, Purpose::Value);
    let fill = |number| {
        let who = Who::Arrival(number);
        Fill { load: &load, chance: who.of(chance), ordinal: who.ordinal() }.text(&template)
    };
    (0..count).map(fill).collect()
}

fn literal(text: &str) -> Literal {
    Literal { json: quoted(text), text: text.to_owned() }
}

#[test]
fn a_pick_keeps_to_its_weights() {
    let choices = vec![(0.0, literal("never")), (0.9, literal("often")), (1.0, literal("seldom"))];
    let drawn = drawn(Draw::Pick(choices), Form::Plain, 10_000);
    let count = |text| drawn.iter().filter(|drawn| *drawn == text).count();
    assert_eq!(count("never"), 0);
    // Four deviations of a binomial number: 30 each.
    assert!(count("seldom").abs_diff(1_000) < 120, "{}", count("seldom"));
    assert_eq!(count("often") + count("seldom"), 10_000);
}

#[test]
fn a_range_has_both_its_ends_and_nothing_beyond() {
    let mut numbers: Vec<i64> = drawn(Draw::Int { min: -2, max: 3 }, Form::Json, 1_000)
        .iter()
        .map(|number| number.parse().expect("a number"))
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers, [-2, -1, 0, 1, 2, 3]);
    assert_eq!(drawn(Draw::Int { min: i64::MIN, max: i64::MAX }, Form::Json, 9).len(), 9);
    let prices = drawn(Draw::Float { min: 0.5, max: 2.5, digits: Some(2) }, Form::Json, 1_000);
    let numbers = prices.iter().map(|price| price.parse::<f64>().expect("a number"));
    assert!(numbers.clone().all(|price| (0.5..=2.5).contains(&price)));
    assert!((numbers.sum::<f64>() / 1_000.0 - 1.5).abs() < 0.075);
    assert!(prices.iter().all(|price| price.len() == 4), "{prices:?}");
}

#[test]
fn a_sequence_counts_requests_and_users_take_turns() {
    assert_eq!(drawn(Draw::Sequence { from: 10, step: -5 }, Form::Json, 4), ["10", "5", "0", "-5"]);
    let ordinal = |user, iteration| Who::User { user, iteration, users: 3 }.ordinal();
    assert_eq!([ordinal(0, 0), ordinal(1, 0), ordinal(2, 0), ordinal(0, 1)], [0, 1, 2, 3]);
}

#[test]
fn a_uuid_says_its_version_and_comes_once() {
    let mut uuids = drawn(Draw::Uuid, Form::Plain, 100);
    for uuid in &uuids {
        assert_eq!((uuid.len(), &uuid[14..15]), (36, "4"), "{uuid}");
        assert!("89ab".contains(&uuid[19..20]), "{uuid}");
    }
    uuids.sort_unstable();
    uuids.dedup();
    assert_eq!(uuids.len(), 100);
}

#[test]
fn text_is_written_as_the_place_wants_it() {
    let names = || Draw::Names(Names::Read(["a \"b\"/ü".to_owned()].into()));
    let as_form = |form| drawn(names(), form, 1).remove(0);
    assert_eq!(as_form(Form::Plain), "a \"b\"/ü");
    assert_eq!(as_form(Form::Percent), "a%20%22b%22%2F%C3%BC");
    assert_eq!(as_form(Form::Json), r#""a \"b\"/ü""#);
    assert_eq!(as_form(Form::JsonText), r#"a \"b\"/ü"#);
}

#[test]
fn a_mix_keeps_to_its_weights() {
    let request = |weight, method: &str| RequestTemplate {
        weight,
        method: method.to_owned(),
        target: Template::default(),
        headers: Vec::new(),
        body: Template::default(),
        place: 0..0,
    };
    let mix = [request(0.0, "HEAD"), request(3.0, "GET"), request(1.0, "POST"), request(0.0, "PUT")];
    let key = Key::new(7, Purpose::Mix);
    let methods: Vec<_> = (0..10_000).map(|number| choose(&mix, key.with(number)).method.as_str()).collect();
    let count = |method| methods.iter().filter(|other| **other == method).count();
    // Four deviations: 43 each.
    assert!(count("POST").abs_diff(2_500) < 173, "{}", count("POST"));
    assert_eq!(count("GET") + count("POST"), 10_000);
}
