//! What the guest `service` keeps in caches of the topology, as its configuration says.

use crate::support::World;

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
