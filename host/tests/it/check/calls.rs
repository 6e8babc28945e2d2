//! Calls of guests `service`: where they lead, and whether they come back.

use crate::check::{check, refused, shop, warned};
use crate::support::{Topology, guest};

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
    let swap = format!("stock={}", guest("payment"));
    let checked = check(&shop("stock/items/{id}", ""), &["--guest", &swap]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    crate::check::said(&checked, &["calls \"GET /items/{id}\" of \"stock\"", "1 warning"]);
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

#[test]
fn a_cycle_that_its_own_workers_cannot_serve_is_told_in_stronger_words() {
    let text = "[topology]\nname = \"selfcycle\"\n\n[ingress]\nto = \"a\"\nlisten = \"127.0.0.1:0\"\n\n\
                [services.a]\nguest = \"service\"\nconfig.calls = \"a\"\n";
    let words = [
        "a cycle of calls that waits for itself: a GET / -> a GET /",
        "each request occupies 32 workers of \"a\" at once, which has 16: it fails after 60s",
    ];
    warned(&Topology::new("selfcycle", text), &words);
    let more = text.replace("config.calls", "workers = 64\nconfig.calls");
    warned(&Topology::new("selfcycle", more), &["a cycle of calls that never ends", "32 calls deep"]);
}

#[test]
fn a_request_that_needs_the_only_worker_of_a_service_twice_is_a_warning() {
    let more = "[services.cart]\nguest = \"service\"\nworkers = 1\n\
                config.a = { route = \"GET /a\", calls = \"POST stock/items, cart/b\" }\nconfig.b = { route = \"GET /b\" }\n";
    warned(
        &shop("cart/a", more),
        &["a request to \"cart\" needs two of its workers at once, and it has one"],
    );
    let checked = check(&shop("cart/a", &more.replace("workers = 1", "workers = 2")), &["--strict"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
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
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
}
