//! Calls of guests `service`: where they lead, and whether they come back.

use crate::check::{check, shop, warned};
use crate::support::{Topology, guest, refused, said};

#[test]
fn a_call_of_a_service_that_is_not_there_is_an_error_with_the_nearest_name() {
    let checked = check(&shop("stok/items/{id}, 10% stock/items/{id}", ""), &[]);
    let words = ["\"shop\" calls \"stok\", which is no service of this topology", "did you mean \"stock\"?"];
    refused(&checked, &words);
    assert!(checked.stderr.contains("1 problem"), "{}", checked.stderr);
}

#[test]
fn a_call_of_a_route_that_is_not_there_is_an_error_with_the_nearest_route() {
    let words =
        ["calls \"GET /itms/{id}\" of \"stock\"", "404 for each call", "did you mean \"GET /items/{id}\"?"];
    refused(&check(&shop("stock/itms/{id}", ""), &[]), &words);
    refused(&check(&shop("10% stock", ""), &[]), &["calls \"GET /\" of \"stock\""]);
}

#[test]
fn a_name_in_the_path_of_a_call_that_is_nearly_one_of_the_route_is_a_warning() {
    let words = [
        "\"shop\" calls \"stock\" with a number for {di}, which its route \"GET /products/{id}\" does not have",
        "a number from 1 to 1000",
        "did you mean {id}?",
    ];
    warned(&shop("stock/items/{di}", ""), &words);
    // A number is meant: no name is near, or the near one is there too.
    let pairs = "[services.pairs]\nguest = \"service\"\nconfig.pair = { route = \"GET /{one}/{other}\" }\n";
    for calls in ["stock/items/{number}", "pairs/{id}/{id2}"] {
        let checked = check(&shop(&format!("stock/items/{{id}}, {calls}"), pairs), &["--strict"]);
        assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""), "{calls}");
    }
}

/// A mistake in one call says nothing of the others, nor of the links that they use.
#[test]
fn a_call_that_cannot_be_read_brings_no_second_problem() {
    let link = "[[links]]\nfrom = \"shop\"\nto = \"stock\"\ntimeout = \"1s\"\n";
    let checked = check(&shop("20 stock/items/{id}?", link), &[]);
    assert_eq!(checked.code, Some(2), "{}", checked.stderr);
    assert!(checked.stderr.contains("cannot run: 1 problem"), "{}", checked.stderr);
}

/// A shop that calls `calls` on `route`, and a stock with a route for each kind of thing.
fn kinds(route: &str, calls: &str, more: &str) -> Topology {
    Topology::new(
        "kinds",
        format!(
            "[topology]\nname = \"kinds\"\n\n[ingress]\nlisten = \"127.0.0.1:0\"\nto = \"shop\"\n\n\
             [services.shop]\nguest = \"service\"\nconfig.show = {{ route = \"{route}\", calls = \"{calls}\" }}\n\n\
             [services.stock]\nguest = \"service\"\nconfig.books = {{ route = \"GET /books\" }}\n\
             config.pens = {{ route = \"GET /pens\" }}\n\n{more}"
        ),
    )
}

#[test]
fn a_name_in_the_path_of_a_call_may_meet_any_fixed_segment() {
    let topology = kinds("GET /api/{kind}", "stock/{kind}", "");
    let checked = check(&topology, &["--strict"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
    topology.run(&["--virtual", "--request", "GET /api/pens"]).success();
    // No value leads to a route.
    let deeper = check(&kinds("GET /api/{kind}", "stock/{kind}/new", ""), &[]);
    refused(&deeper, &["calls \"GET /{kind}/new\" of \"stock\"", "404 for each call"]);
    let posts = check(&kinds("GET /api/{kind}", "POST stock/{kind}", ""), &[]);
    refused(&posts, &["405 for each call", "the path exists for GET"]);
    // A name that the route does not have is a number.
    refused(&check(&kinds("GET /api", "stock/{kind}", ""), &[]), &["404 for each call"]);
}

#[test]
fn a_fault_on_a_route_that_a_name_may_meet_may_strike() {
    let fault = "[[faults]]\nname = \"slow\"\nkind = \"latency\"\ndelay = \"9ms\"\n\
                 target = { service = \"stock\", from = \"shop\", route = \"GET /pens\" }\n";
    let checked = check(&kinds("GET /api/{kind}", "stock/{kind}", fault), &["--strict"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
    let any = fault.replace("GET /pens", "GET /health");
    let checked = check(&kinds("GET /api/{kind}", "stock/{kind}", &any), &["--strict"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
    warned(&kinds("GET /api/{kind}", "stock/books", fault), &["\"shop\" does not call \"GET /pens\""]);
}

#[test]
fn a_call_that_may_fail_and_leads_nowhere_is_a_warning() {
    let words = ["\"shop\" calls \"GET /\" of \"stock\"", "\"shop\" calls \"stok\"", "2 warnings"];
    warned(&shop("stock?, stok/items/{id}?", ""), &words);
}

#[test]
fn a_call_with_a_method_that_its_path_does_not_have_is_an_error() {
    let words = ["calls \"DELETE /items\" of \"stock\"", "405 for each call", "the path exists for POST"];
    refused(&check(&shop("DELETE stock/items", ""), &[]), &words);
}

#[test]
fn calls_beside_the_tables_are_reported_once_and_where_they_stand() {
    let more = "[services.cart]\nguest = \"service\"\nconfig.calls = \"stock/items/{id}, stock/nowhere\"\n\
                config.a = { route = \"GET /a\" }\nconfig.b = { route = \"GET /b\" }\n";
    let checked = check(&shop("stock/items/{id}", more), &[]);
    refused(&checked, &["calls \"GET /nowhere\"", "1 problem"]);
    assert!(checked.stderr.contains("shop.toml:19:35"), "{}", checked.stderr);
}

#[test]
fn a_guest_that_was_swapped_may_lack_routes() {
    let swap = format!("stock={}", guest("tests/probe"));
    let checked = check(&shop("stock/items/{id}", ""), &["--guest", &swap]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    said(&checked, &["calls \"GET /items/{id}\" of \"stock\"", "1 warning"]);
}

#[test]
fn a_call_that_the_order_service_makes_in_its_code_is_followed_too() {
    let topology =
        Topology::orders().with("[services.order-service]", "config.inventory = \"inventry-service\"");
    refused(&check(&topology, &[]), &["\"order-service\" calls \"inventry-service\""]);
}

#[test]
fn a_cycle_of_calls_is_a_warning_with_its_way() {
    let more = "[services.cart]\nguest = \"service\"\nconfig.calls = \"10% shop/products/7\"\n";
    let words = [
        "a cycle of calls: shop GET /products/{id} -> cart GET / -> shop GET /products/{id}",
        "limits.call-depth of 32",
    ];
    warned(&shop("cart", more), &words);
}

/// A service that calls itself.
fn itself(more: &str) -> Topology {
    let text = "[topology]\nname = \"selfcycle\"\n\n[ingress]\nto = \"a\"\nlisten = \"127.0.0.1:0\"\n\n\
                [services.a]\nguest = \"service\"\n";
    Topology::new("selfcycle", format!("{text}{more}"))
}

/// What becomes of a request to it: the report says of which error its calls have failed.
fn fails_of(topology: &Topology) -> String {
    let run = topology.run(&["--virtual", "--request", "GET /", "--show", "summary"]);
    run.success().to_owned()
}

#[test]
fn a_cycle_that_its_own_workers_cannot_serve_is_told_in_stronger_words() {
    // A request and its calls down to limits.call-depth of 32 are 33 visits.
    let few = itself("workers = 32\nconfig.calls = \"a\"\n");
    let words = [
        "a cycle of calls that waits for itself: a GET / -> a GET /",
        "each request occupies 33 workers of \"a\" at once, which has 32",
        "The request that completes the cycle is answered 503 (deadlock)",
    ];
    warned(&few, &words);
    assert!(fails_of(&few).contains("deadlock"), "{}", fails_of(&few));
    let enough = itself("workers = 33\nconfig.calls = \"a\"\n");
    warned(&enough, &["a cycle of calls that never ends", "32 calls deep"]);
    let failed = fails_of(&enough);
    assert!(failed.contains("502 ×33") && !failed.contains("deadlock"), "{failed}");
}

#[test]
fn a_cycle_over_a_link_with_a_timeout_ends_with_it() {
    let link = "[[links]]\nfrom = \"a\"\nto = \"a\"\n";
    let timed = itself(&format!("config.calls = \"a\"\n\n{link}timeout = \"700ms\"\n"));
    warned(&timed, &["which has 16. A call of the cycle times out after 700ms"]);
    let failed = fails_of(&timed);
    assert!(failed.contains("answered 504 in 701ms") && !failed.contains("deadlock"), "{failed}");
    let policy = itself(&format!("config.calls = \"a\"\n\n{link}retry = {{ attempts = 2 }}\n"));
    warned(&policy, &["A request for which none is left fails after 1m, its limits.request-time"]);
}

#[test]
fn a_cycle_that_a_call_may_leave_does_not_fail_each_request() {
    let optional = itself("config.calls = \"a?\"\n");
    let words = ["a cycle of calls: a GET / -> a GET /", "each round occupies a worker more"];
    warned(&optional, &words);
    let checked = check(&optional, &[]);
    assert!(!checked.stderr.contains("each request"), "{}", checked.stderr);
    let never = check(&itself("config.calls = \"0% a\"\n"), &["--strict"]);
    assert_eq!((never.code, never.stderr.as_str()), (Some(0), ""), "a call that is never made closes none");
}

#[test]
fn a_request_that_needs_more_workers_of_a_service_than_it_has_is_a_warning() {
    let more = "[services.cart]\nguest = \"service\"\nworkers = 1\n\
                config.a = { route = \"GET /a\", calls = \"POST stock/items, cart/b\" }\nconfig.b = { route = \"GET /b\" }\n";
    let words = [
        "a request to \"cart\" may need 2 of its workers at once, and it has 1",
        "cart GET /a -> cart GET /b: give \"cart\" more workers or replicas",
    ];
    warned(&shop("cart/a", more), &words);
    let checked = check(&shop("cart/a", &more.replace("workers = 1", "workers = 2")), &["--strict"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    // Also with more workers, and beside a cycle that has nothing to do with it.
    let longer = more
        .replace("workers = 1", "workers = 2")
        .replace("route = \"GET /b\"", "route = \"GET /b\", calls = \"cart/c\"")
        + "config.c = { route = \"GET /c\" }\n\n\
           [services.other]\nguest = \"service\"\nconfig.calls = \"10% other\"\n";
    let words = [
        "a cycle of calls: other GET / -> other GET /",
        "a request to \"cart\" may need 3 of its workers at once, and it has 2",
    ];
    warned(&shop("cart/a", &longer), &words);
}

#[test]
fn calls_that_come_back_to_a_service_on_another_route_are_no_cycle() {
    let more = "[services.cart]\nguest = \"service\"\nconfig.a = { route = \"GET /a\", calls = \"POST stock/items, cart/b\" }\n\
                config.b = { route = \"GET /b\" }\n";
    let checked = check(&shop("cart/a", more), &["--strict"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_link_that_no_call_uses_is_a_warning() {
    let more = "[[links]]\nfrom = \"stock\"\nto = \"shop\"\ntimeout = \"1s\"\n\n[[links]]\nfrom = \"shop\"\nto = \"stock\"\n";
    let words = ["the link from \"stock\" to \"shop\" has no effect", "\"stock\" calls nobody", "1 warning"];
    warned(&shop("stock/items/{id}", more), &words);
}

#[test]
fn a_link_of_a_guest_whose_calls_nobody_knows_is_no_warning() {
    let more = format!(
        "[services.probe]\nguest = {:?}\n\n[[links]]\nfrom = \"probe\"\nto = \"shop\"\ntimeout = \"1s\"\n",
        guest("tests/probe")
    );
    let checked = check(&shop("stock/items/{id}", &more), &["--strict"]);
    // A guest that no run has compiled yet may take long enough for that to be said.
    let said: Vec<_> = checked.stderr.lines().filter(|line| !line.starts_with("compiling ")).collect();
    assert_eq!((checked.code, said), (Some(0), Vec::new()));
}
