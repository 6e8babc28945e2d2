//! Requests that meet no route.

use crate::check::{check, shop, warned};
use crate::support::{Topology, refused, said};

fn load(request: &str) -> String {
    format!(
        "[[load]]\nname = \"users\"\nto = \"shop\"\n{request}\narrivals = {{ constant = \"10/s\" }}\nfor = \"1s\"\n"
    )
}

#[test]
fn a_load_of_which_no_request_meets_a_route_is_an_error() {
    let topology = shop("stock/items/{id}", &load("request = { path = \"/product/7\" }"));
    let words = [
        "no request of the load \"users\" meets a route of \"shop\": \"GET /product/7\"",
        "answered 404",
        "did you mean \"GET /products/{id}\"?",
    ];
    refused(&check(&topology, &[]), &words);
    refused(&topology.run(&["--virtual"]), &words);
    let posts = load("request = { method = \"POST\", path = \"/products/7\" }");
    refused(&check(&shop("stock/items/{id}", &posts), &[]), &["answered 405", "the path exists for GET"]);
}

#[test]
fn a_load_of_which_a_share_meets_no_route_is_a_warning() {
    let requests =
        "requests = [{ weight = 3, path = \"/products/7\" }, { weight = 1, path = \"/robots.txt\" }]";
    let words = ["25% of the requests of the load \"users\" meet no route of \"shop\": \"GET /robots.txt\""];
    warned(&shop("stock/items/{id}", &load(requests)), &words);
}

#[test]
fn values_in_the_path_of_a_load_are_tried() {
    let path = "values = { page = { pick = [[0.9, \"products\"], [0.1, \"carts\"]] }, id = { range = [1, 9] } }\n\
                request = { path = \"/{page}/{id}\" }";
    let words = ["10% of the requests of the load \"users\" meet no route of \"shop\": \"GET /carts/1\""];
    warned(&shop("stock/items/{id}", &load(path)), &words);
    let good = path.replace("carts", "products");
    let checked = check(&shop("stock/items/{id}", &load(&good)), &["--strict"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
}

/// The paths `/v1/items` and so on, of which a route has the second alone.
fn versions(values: &str) -> Topology {
    let load = load(&format!("values = {{ n = {values} }}\nrequest = {{ path = \"/v{{n}}/items\" }}"));
    let more = format!("config.two = {{ route = \"GET /v2/items\" }}\n\n{load}");
    Topology::new("shop", shop_text(&more))
}

fn shop_text(more: &str) -> String {
    format!(
        "[topology]\nname = \"shop\"\n\n[ingress]\nlisten = \"127.0.0.1:0\"\nto = \"shop\"\n\n\
         [services.shop]\nguest = \"service\"\n{more}"
    )
}

#[test]
fn all_values_of_a_short_range_are_tried() {
    let words = ["50% of the requests of the load \"users\" meet no route of \"shop\": \"GET /v1/items\""];
    warned(&versions("{ range = [1, 2] }"), &words);
    let good = check(&versions("{ range = [2, 2] }"), &["--strict"]);
    assert_eq!((good.code, good.stderr.as_str()), (Some(0), ""));
    refused(&check(&versions("{ range = [3, 9] }"), &[]), &["no request of the load \"users\""]);
}

#[test]
fn examples_of_many_values_give_no_share_and_no_error() {
    let words = ["some requests of the load \"users\" meet no route of \"shop\": \"GET /v1/items\""];
    warned(&versions("{ range = [1, 1000] }"), &words);
    warned(&versions("{ sequence = { from = 1 } }"), &words);
    // The last one is tried too.
    warned(&versions("{ range = [2, 1000] }"), &["\"GET /v1000/items\""]);
    // Beyond the bound of what is tried, no value is taken for all of them.
    let pages: Vec<_> =
        (0..300).map(|page| format!("[1, \"{}\"]", if page == 7 { "items" } else { "others" })).collect();
    let load = load(&format!(
        "values = {{ page = {{ pick = [{}] }}, n = {{ range = [2, 3] }} }}\nrequest = {{ path = \"/v{{n}}/{{page}}\" }}",
        pages.join(", ")
    ));
    let more = format!("config.two = {{ route = \"GET /v2/items\" }}\n\n{load}");
    warned(&Topology::new("shop", shop_text(&more)), &["some requests of the load \"users\""]);
}

#[test]
fn values_that_lead_nowhere_whatever_they_are_are_an_error() {
    let words = ["no request of the load \"users\" meets a route of \"shop\": \"GET /product/1\""];
    let path = "values = { id = { range = [1, 100000] } }\nrequest = { path = \"/product/{id}\" }";
    refused(&check(&shop("stock/items/{id}", &load(path)), &[]), &words);
    // A value keeps its dashes.
    let path = "values = { page = { pick = [[1, \"about-us\"]] } }\nrequest = { path = \"/{page}\" }";
    let more = format!("config.about = {{ route = \"GET /about-us\" }}\n\n{}", load(path));
    let topology = Topology::new("shop", shop_text(&more));
    let checked = check(&topology, &["--strict"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_load_that_is_off_does_not_stop_the_others() {
    let topology = shop("stock/items/{id}", &load("request = { path = \"/product/7\" }"));
    let checked = check(&topology, &["--load", "users=off"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    said(&checked, &["no request of the load \"users\"", "1 warning"]);
}

#[test]
fn a_request_of_the_command_line_that_meets_no_route_is_a_warning() {
    let topology = shop("stock/items/{id}", "");
    let finished =
        topology.run(&["--virtual", "--request", "GET /product/7?x=1", "--request", "GET /products/7"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    said(
        &finished,
        &["--request \"GET /product/7?x=1\" meets no route of \"shop\": it is answered 404", "1 warning"],
    );
}

#[test]
fn a_recording_that_begins_after_the_end_of_the_run_is_an_error() {
    let load = "[[load]]\nname = \"users\"\nto = \"shop\"\nrequest = { path = \"/products/7\" }\n\
                arrivals = { replay = \"arrivals.txt\" }\nstart = \"5s\"\n";
    let topology = shop("stock/items/{id}", load);
    std::fs::write(topology.beside("arrivals.txt"), "10s\n11s\n").expect("a recording");
    let words = ["the load \"users\" starts after 15s, when the run is over"];
    refused(&topology.run(&["--virtual", "--for", "12s"]), &words);
    assert_eq!(topology.run(&["--virtual", "--for", "16s"]).code, Some(0));
}
