//! The interface without a guest.

use super::command::query;
use super::*;
use crate::clock::VIRTUAL_START;
use crate::guest::host::fixture::Fixture;
use crate::telemetry::record::{Points, SpanKind, SpanRecord, Status, Value};
use cache::Host as _;

/// What a command answers.
fn wait<T>(
    fixture: &mut Fixture,
    command: impl AsyncFnOnce(&mut GuestState) -> wasmtime::Result<Result<T, cache::Error>>,
) -> Result<T, cache::Error> {
    let sched = fixture.sched.clone();
    sched.block_on(command(&mut fixture.state), || {}).unwrap().unwrap()
}

fn set(fixture: &mut Fixture, cache: &str, value: &str, ttl: Option<u64>) -> Result<(), cache::Error> {
    let value = value.as_bytes().to_vec();
    wait(fixture, async |state| state.set(cache.to_owned(), "key".to_owned(), value, ttl).await)
}

fn get(fixture: &mut Fixture, cache: &str) -> Result<Option<Vec<u8>>, cache::Error> {
    wait(fixture, async |state| state.get(cache.to_owned(), "key".to_owned()).await)
}

fn attributes(span: &SpanRecord) -> Vec<String> {
    span.attributes.iter().map(|attribute| format!("{}={}", &*attribute.key, attribute.value)).collect()
}

#[test]
fn a_command_takes_its_way_there_and_back_and_leaves_a_span_by_the_conventions_for_redis() {
    let mut fixture = Fixture::serving();
    set(&mut fixture, "shared", "value", None).unwrap();
    assert_eq!(fixture.owes(), FUNCTION + COMMAND + LOOKUP + 6 + 24 + 3 + 5);
    assert_eq!(get(&mut fixture, "shared").unwrap().as_deref(), Some(&b"value"[..]));
    assert_eq!(fixture.owes(), FUNCTION + COMMAND + LOOKUP + 6 + 24 + 3 + 5);
    let spans = fixture.recorded().spans;
    let [set, get] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!((&*set.name, &*get.name, set.kind), ("SET", "GET", SpanKind::Client));
    let times = [set.start, set.end, get.start, get.end].map(|at| at - VIRTUAL_START);
    assert_eq!(times, [0, 400_000, 400_000, 800_000]);
    let expected = [
        "db.system.name=redis",
        "db.namespace=0",
        "db.operation.name=SET",
        "server.address=shared",
        "service.peer.name=shared",
        "peer.service=shared",
        "db.query.text=SET key ?",
    ];
    assert_eq!((attributes(set), &set.status), (expected.map(str::to_owned).to_vec(), &Status::Unset));
    assert_eq!(get.attributes.get("db.query.text"), Some(&Value::from("GET key")));
}

#[test]
fn old_names_stand_beside_the_stable_ones_if_both_are_asked_for() {
    let mut fixture = Fixture::serving();
    fixture.state.local.get_mut().host.recorder.keep_old_database_names(true);
    get(&mut fixture, "shared").unwrap();
    let spans = fixture.recorded().spans;
    let [span] = &spans[..] else { panic!("{spans:?}") };
    let old =
        ["db.query.text=GET key", "db.system=redis", "db.statement=GET key", "db.redis.database_index=0"];
    assert!(attributes(span).ends_with(&old.map(str::to_owned)), "{:?}", attributes(span));
}

#[test]
fn an_entry_is_there_until_its_time_is_over() {
    let mut fixture = Fixture::serving();
    // It is set after 0.2 ms, and looked for after 0.6 and 1 ms.
    set(&mut fixture, "shared", "value", Some(800_000)).unwrap();
    assert!(get(&mut fixture, "shared").unwrap().is_some());
    assert_eq!(get(&mut fixture, "shared").unwrap(), None);
}

#[test]
fn an_error_of_the_cache_is_that_of_redis_on_the_span_and_in_the_metrics() {
    let mut fixture = Fixture::measured().with_request();
    set(&mut fixture, "shared", "value", None).unwrap();
    let increment = async |state: &mut GuestState| state.increment("shared".into(), "key".into(), 1).await;
    let error = wait(&mut fixture, increment).unwrap_err();
    assert!(matches!(error, cache::Error::NotANumber), "{error:?}");
    let spans = fixture.recorded().spans;
    assert_eq!(spans[1].status, Status::Error("value is not an integer or out of range".into()));
    for key in ["db.response.status_code", "error.type"] {
        assert_eq!(spans[1].attributes.get(key), Some(&Value::from("ERR")));
    }
    let records = fixture.collected();
    let [record] = &records[..] else { panic!("{records:?}") };
    let Points::Histogram { points, .. } = &record.points else { panic!("{record:?}") };
    assert_eq!((&*record.instrument.name, points.len()), ("db.client.operation.duration", 2));
    assert_eq!((points[1].summary.count, points[1].exemplars[0].span_id), (1, spans[1].span_id));
    let last = points[1].attributes.last().expect("attributes");
    assert_eq!((&*last.key, &last.value), ("error.type", &Value::from("ERR")));
}

#[test]
fn who_waits_too_long_has_a_timeout_and_the_command_was_executed_if_it_had_arrived() {
    let mut fixture = Fixture::serving();
    let error = set(&mut fixture, "slow", "value", None).unwrap_err();
    assert!(matches!(error, cache::Error::Timeout), "{error:?}");
    let spans = fixture.recorded().spans;
    assert_eq!(spans[0].end - spans[0].start, 1_000_000);
    assert_eq!(spans[0].attributes.get("error.type"), Some(&Value::from("timeout")));
    let cache = fixture.state.local.get().host.caches.find(crate::model::ServiceId(0), "slow").unwrap();
    assert!(cache.store.borrow_mut().get("key", VIRTUAL_START).is_some());
}

#[test]
fn a_command_that_is_dropped_leaves_its_span() {
    let mut fixture = Fixture::serving();
    let sched = fixture.sched.clone();
    {
        let get = std::pin::pin!(fixture.state.get("shared".to_owned(), "key".to_owned()));
        let impatient = futures_util::future::select(get, sched.sleep(100_000));
        sched.block_on(impatient, || {}).unwrap();
    }
    let spans = fixture.recorded().spans;
    assert_eq!(spans[0].end - spans[0].start, 100_000);
    assert_eq!(spans[0].attributes.get("error.type"), Some(&Value::from("cancelled")));
}

#[test]
fn what_is_not_sent_takes_no_time_and_leaves_no_span() {
    let mut fixture = Fixture::serving();
    let error = get(&mut fixture, "shred").unwrap_err();
    assert!(matches!(&error, cache::Error::UnknownCache(why) if why.contains("\"shared\"")), "{error:?}");
    let error = set(&mut fixture, "shared", &"x".repeat(VALUE_AT_MOST + 1), None).unwrap_err();
    assert!(matches!(error, cache::Error::TooLarge(_)), "{error:?}");
    assert_eq!((fixture.recorded().spans.len(), fixture.sched.now()), (0, VIRTUAL_START));
    let error = get(&mut Fixture::idle(&[]), "shared").unwrap_err();
    assert!(matches!(error, cache::Error::Invalid(_)), "{error:?}");
    assert_eq!(Fixture::idle(&[]).state.all().unwrap(), ["shared", "slow"]);
}

#[test]
fn the_bounds_are_those_of_the_contract() {
    let wit = include_str!("../../../../assets/wit/service.wit");
    let (kib, mib) = (KEY_AT_MOST >> 10, VALUE_AT_MOST >> 20);
    let values = VALUES_AT_MOST >> 20;
    for said in [
        format!("A key has at most {kib} KiB, a value {mib} MiB."),
        format!("The values of at most {KEYS_AT_MOST} keys, in their order; at most {values} MiB together."),
    ] {
        assert!(wit.contains(&said), "{said}");
    }
}

#[test]
fn a_long_query_has_as_many_keys_as_there_is_room_for() {
    let key = "k".repeat(400);
    let text = query(Operation::GetMany, &[&key, &key, &key]);
    assert_eq!(text, format!("MGET {key} {key}"));
}
