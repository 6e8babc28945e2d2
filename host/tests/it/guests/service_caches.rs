//! What the guest `service` keeps in caches of the topology, as its configuration says.

use crate::support::{Run, World};

const CACHES: &str = "[caches.pages]\nlatency = \"200us\"";

fn front(config: &str) -> World {
    let settings = format!("replicas = 2\ncaches = [\"pages\"]\n{config}");
    World::default().with_guest("front", "service", &settings).with_guest("back", "service", "").with(CACHES)
}

#[test]
fn an_answer_that_is_kept_calls_nobody_in_any_replica_until_it_expires() {
    let show = "config.show = { route = \"GET /items/{id}\", calls = \"back\", cache = \"1s\", cache-in = \"pages\", \
                response-bytes = 300 }";
    let run = front(show).virtually(&["GET /items/7", "GET /items/7", "GET /items/8", "GET /items/7"]);
    assert_eq!(run.statuses(), [200; 4]);
    assert_eq!(run.named("GET /").len(), 2, "once for each item");
    let said = |name: &str| {
        let spans = run.named(name);
        let texts = spans.iter().filter_map(|span| span.attributes.get("db.query.text")?.as_str());
        texts.map(str::to_owned).collect::<Vec<_>>()
    };
    let (seven, eight) = ("front/items/7", "front/items/8");
    let gets = [seven, seven, eight, seven].map(|key| format!("GET {key}"));
    assert_eq!(said("GET"), gets);
    assert_eq!(said("SET"), [format!("SET {seven} ?"), format!("SET {eight} ?")]);
}

#[test]
fn a_cache_that_is_not_there_and_an_answer_that_is_kept_for_no_time_are_refused() {
    let report = front("config.cache-in = \"page\"").refusal();
    for said in [
        "config.cache-in of \"front\": this service may not use the cache \"page\"",
        "did you mean \"pages\"?",
        "answers are kept, and there is no `cache` that says how long",
    ] {
        assert!(report.contains(said), "{said}: {report}");
    }
}

/// Two replicas of `front` get 20 requests for one page within 95 ms, which `back` makes in 100 ms.
fn crowd(single_flight: &str, more: &str) -> Run {
    let show = "config.show = { route = \"GET /items/{id}\", calls = \"back\", cache = \"10s\", cache-in = \"pages\" }";
    let load = "[[load]]\nname = \"crowd\"\nto = \"front\"\nrequest = { path = \"/items/7\" }\n\
                arrivals = { constant = \"200/s\" }\nmax-requests = 20";
    let world = World::default()
        .with_guest("front", "service", &format!("replicas = 2\ncaches = [\"pages\"]\n{show}"))
        .with_guest("back", "service", "config.work = \"100ms\"");
    world.with(&format!("{CACHES}\n{single_flight}\n{load}\n{more}")).flags(&["--json"]).virtually(&[])
}

fn counts(run: &Run) -> [u64; 4] {
    let row = &run.json()["caches"][0];
    ["hits", "misses", "waited", "evicted"].map(|key| row[key].as_u64().expect("a count"))
}

#[test]
fn of_those_who_miss_a_page_one_makes_it_and_the_others_wait() {
    let run = crowd("", "");
    assert_eq!((run.named("GET /").len(), counts(&run)), (20, [0, 20, 0, 0]), "each makes it");
    let run = crowd("single-flight = \"2s\"", "");
    assert_eq!(run.named("GET /").len(), 1);
    // Who has waited looks twice, and the time between is in no span.
    assert_eq!(counts(&run), [19, 20, 19, 0]);
    let waited: Vec<_> = run.named("GET /items/{id}").into_iter().skip(1).collect();
    for server in waited {
        let looks = run.children(server);
        assert_eq!(looks.len(), 2, "{looks:?}");
        assert!(looks.iter().all(|look| look.name == "GET" && look.end - look.start == 400_000));
        assert!(server.end - looks[1].end < 1_000_000 && looks[1].start > looks[0].end);
    }
}

#[test]
fn who_waits_makes_the_page_where_its_maker_has_failed_or_takes_too_long() {
    let fails = "[[faults]]\nname = \"it\"\nkind = \"error\"\nstatus = 503\ntarget = { service = \"back\" }\n\
                 fail-first = 1";
    let run = crowd("single-flight = \"2s\"", fails);
    assert_eq!((run.named("GET /").len(), counts(&run)[2]), (2, 18), "the second makes it");
    assert_eq!(run.json()["routes"][0]["errors"], 1);
    let run = crowd("single-flight = \"30ms\"", "");
    let longest = run.named("GET /items/{id}").iter().map(|span| span.end - span.start).max();
    assert!(longest < Some(30_000_000 + 102_000_000 + 1_500_000), "{longest:?}");
    assert!((2..20).contains(&run.named("GET /").len()));
}

#[test]
fn a_cache_tells_what_became_of_its_entries_as_the_report_does() {
    let settings = "entries = 2\nsingle-flight = \"1s\"";
    let show = "config.show = { route = \"GET /items/{id}\", cache = \"10s\", cache-in = \"pages\", work = \"300ms\" }";
    let load = |(number, item): (usize, &u32)| {
        let start = 500 * number;
        format!(
            "[[load]]\nname = \"l{number}\"\nto = \"front\"\nrequest = {{ path = \"/items/{item}\" }}\n\
             arrivals = {{ constant = \"1/s\" }}\nmax-requests = 1\nstart = \"{start}ms\"\n"
        )
    };
    let loads: String = [1, 1, 2, 3, 1].iter().enumerate().map(load).collect();
    let run =
        front(show).with(&format!("{settings}\n{loads}")).measured(60_000).flags(&["--json"]).virtually(&[]);
    let report = run.json();
    let row = &report["caches"][0];
    let expected = serde_json::json!({
        "cache": "pages", "commands": 9, "rate": row["rate"], "unanswered": 0, "hits": 1, "misses": 4,
        "hit_ratio": 0.2, "waited": 0, "evicted": 2, "expired": 0, "keys": 2, "bytes": 2 * (96 + 13),
    });
    assert_eq!(*row, expected);
    let points = run.points();
    let told = |metric: &str| {
        let point = points.iter().find(|point| point.service == "pages" && point.metric == metric);
        point.unwrap_or_else(|| panic!("no {metric}")).number()
    };
    assert_eq!((told("redis.commands.processed"), told("redis.keyspace.hits")), (9.0, 1.0));
    assert_eq!((told("redis.keyspace.misses"), told("redis.keys.evicted")), (4.0, 2.0));
    assert_eq!((told("redis.keys.expired"), told("redis.db.keys")), (0.0, 2.0));
    assert_eq!(told("redis.memory.used"), 218.0);
}
