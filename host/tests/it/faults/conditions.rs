//! Faults strike only requests of which all their conditions hold.

use super::{MS, slow};
use crate::support::client::Request;
use crate::support::{SpanKind, World};

/// Whether a fault with this `match` strikes a request.
struct Case<'a> {
    matching: &'a str,
    struck: &'a [Request<'a>],
    spared: &'a [Request<'a>],
}

const fn get<'a>(target: &'a str, headers: &'a [(&'a str, &'a str)]) -> Request<'a> {
    Request { method: "GET", target, headers, body: "" }
}

const fn post(body: &str) -> Request<'_> {
    Request { method: "POST", target: "/headers", headers: &[], body }
}

#[track_caller]
fn check(cases: &[Case<'_>]) {
    for Case { matching, struck, spared } in cases {
        let server = World::of("probe", "").with(&slow("slow", &format!("match = {{ {matching} }}"))).serve();
        for request in struck.iter().chain(*spared) {
            assert_eq!(server.send(*request).status, 200, "{request:?}");
        }
        let run = server.stop();
        let spans = run.of("front", SpanKind::Server);
        let took: Vec<_> = spans.iter().map(|span| span.duration() >= 40 * MS).collect();
        let expected = [vec![true; struck.len()], vec![false; spared.len()]].concat();
        assert_eq!(took, expected, "{matching}");
    }
}

#[test]
fn methods_and_headers_are_looked_at() {
    let now = |headers| get("/now", headers);
    check(&[
        Case { matching: "method = \"POST\"", struck: &[post("{}")], spared: &[now(&[])] },
        Case {
            matching: "\"header.x-tier\" = \"gold\"",
            struck: &[now(&[("X-Tier", "gold")]), now(&[("x-tier", "iron"), ("x-tier", "gold")])],
            spared: &[now(&[]), now(&[("x-tier", "golden")]), now(&[("x-tear", "gold")])],
        },
        Case {
            matching: "\"header.x-tier\" = { ne = \"gold\" }",
            struck: &[now(&[]), now(&[("x-tier", "iron")])],
            spared: &[now(&[("x-tier", "gold")]), now(&[("x-tier", "iron"), ("x-tier", "gold")])],
        },
        Case {
            matching: "\"header.x-load\" = { gt = 5 }",
            struck: &[now(&[("x-load", "5.5")]), now(&[("x-load", " 1e3")])],
            spared: &[
                now(&[("x-load", "5")]),
                now(&[("x-load", "many")]),
                now(&[("x-load", "inf")]),
                now(&[]),
            ],
        },
        Case {
            matching: "\"header.x-tier\" = { regex = \"^g.*d$\", ne = \"gild\" }",
            struck: &[now(&[("x-tier", "gold")]), now(&[("x-tier", "gd")])],
            spared: &[now(&[("x-tier", "gild")]), now(&[("x-tier", "golden")])],
        },
        Case {
            matching: "\"header.x-tier\" = { exists = false }",
            struck: &[now(&[])],
            spared: &[now(&[("x-tier", "")])],
        },
    ]);
}

#[test]
fn baggage_and_parameters_are_looked_at() {
    check(&[
        Case {
            matching: "\"baggage.user\" = { regex = \"^t\" }",
            struck: &[
                get("/now", &[("baggage", "user=tim")]),
                get("/now", &[("baggage", "a=b, user=%74om;x")]),
            ],
            spared: &[get("/now", &[("baggage", "user=bert")]), get("/now", &[("baggage", "usr=tim")])],
        },
        Case {
            matching: "\"param.ms\" = { in = [1, \"2\"] }",
            struck: &[get("/sleep/1", &[]), get("/sleep/2", &[])],
            spared: &[get("/sleep/3", &[]), get("/now", &[])],
        },
    ]);
}

#[test]
fn json_bodies_are_looked_at_by_pointer() {
    check(&[
        Case {
            matching: "\"body./order/quantity\" = { gt = 5 }",
            struck: &[post(r#"{"order":{"quantity":6}}"#), post(r#"{"order":{"quantity":5.01}}"#)],
            spared: &[
                post(r#"{"order":{"quantity":5}}"#),
                post(r#"{"order":{"quantity":"6"}}"#),
                post(r#"{"quantity":6}"#),
                post("no json"),
                post(""),
            ],
        },
        Case {
            matching: "\"body./items/1\" = 8, \"body./paid\" = true",
            struck: &[post(r#"{"items":[1,8],"paid":true}"#), post(r#"{"items":[1,8.0],"paid":true}"#)],
            spared: &[post(r#"{"items":[8,1],"paid":true}"#), post(r#"{"items":[1,8],"paid":"true"}"#)],
        },
        Case {
            matching: "\"body./a~1b\" = { in = [\"x\", \"y\"] }",
            struck: &[post(r#"{"a/b":"x"}"#), post(r#"{"a/b":"y"}"#)],
            spared: &[post(r#"{"a/b":"z"}"#), post(r#"{"a":{"b":"x"}}"#)],
        },
        Case {
            matching: "\"body./item\" = { exists = true }",
            struck: &[post(r#"{"item":null}"#)],
            spared: &[post("{}"), post("[1]")],
        },
        Case {
            matching: "\"body./item\" = { ne = \"book\" }",
            struck: &[post("{}"), post(r#"{"item":"pen"}"#), post("none")],
            spared: &[post(r#"{"item":"book"}"#)],
        },
    ]);
}
