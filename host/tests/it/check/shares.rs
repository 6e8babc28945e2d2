//! How shares and lengths of time may be written, and what is suggested instead.

use serde_json::{Value, json};

use crate::check::{check, shop, warned};
use crate::support::{Topology, refused, said};

/// A shop with a share everywhere that one may stand.
fn with_shares(share: &str) -> Topology {
    let more = format!(
        r#"
[services.cart]
guest = "service"
config.errors = {share}

[[links]]
from = "shop"
to = "stock"
retry = {{ attempts = 3, jitter = {share}, budget = {share} }}
breaker = {{ rate = {share} }}

[[links]]
from = "shop"
to = "cart"
retry = {{ attempts = 3, budget = {{ share = {share} }} }}

[[faults]]
name = "some"
kind = "error"
status = 503
target = {{ service = "stock" }}
probability = {share}

[[faults]]
name = "spoilt"
kind = "corrupt"
share = {share}
target = {{ service = "stock" }}

[[faults]]
name = "canary"
kind = "bad-deploy"
guest = "service"
requests = {share}
target = {{ service = "cart" }}

[objectives]
shop = {{ errors = {share} }}
"#
    );
    shop("stock/items/{id}, 20% cart", &more)
}

#[test]
fn a_share_may_be_a_number_or_a_percentage_wherever_there_is_one() {
    let (number, percent) =
        (check(&with_shares("0.2"), &["--strict"]), check(&with_shares("\"20%\""), &["--strict"]));
    assert_eq!((number.code, number.stderr.as_str()), (Some(0), ""));
    assert_eq!(percent.stdout, number.stdout, "{}", percent.stderr);
    let shown =
        ["+/- 20%", "a budget of 20%", "20% failures", "20% of them", "for 20% of the traces", "at most 20%"];
    let text = percent.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    shown.iter().for_each(|words| assert!(text.contains(words), "{words} is missing in {text}"));
    let json = check(&with_shares("\"0.1%\""), &["--json"]).stdout;
    let document: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(document["faults"][0]["probability"], json!(0.001));
}

#[test]
fn a_percentage_in_the_configuration_of_a_guest_is_the_share_that_it_says() {
    let topology = with_shares("\"100%\"").with("[services.stock]", "config.errors = \"100%\"");
    let faults = ["some", "spoilt", "canary"].map(|name| format!("{name}=off"));
    let off: Vec<_> = faults.iter().flat_map(|fault| ["--fault", fault.as_str()]).collect();
    let finished = topology.run(&[&off[..], &["--virtual", "--request", "GET /products/7"]].concat());
    assert!(finished.stdout.contains("answered 502"), "{}{}", finished.stdout, finished.stderr);
}

#[test]
fn what_is_no_share_is_refused_with_both_ways_to_write_one() {
    let words = ["\"probability\" is out of range: 20", "20 percent is \"20%\""];
    refused(&check(&with_shares("20"), &[]), &words);
    refused(&check(&with_shares("\"120%\""), &[]), &["\"120%\" is not a share", "such as 0.2 or \"20%\""]);
    refused(&check(&with_shares("\"0.5 %%\""), &[]), &["is not a share"]);
}

#[test]
fn a_number_without_a_unit_is_answered_with_the_unit_that_is_meant() {
    let fault = |when: &str, delay: &str| {
        let fault = format!(
            "[[faults]]\nname = \"slow\"\nkind = \"latency\"\ndelay = {delay}\ntarget = {{ service = \"stock\" }}\nwhen = {{ {when} }}\n"
        );
        check(&shop("stock/items/{id}", &fault), &[])
    };
    let words = [
        "if you mean seconds, write \"20s\"",
        "if you mean seconds, write \"2s\"",
        "if you mean milliseconds, write \"5ms\"",
    ];
    refused(&fault("at = 20, for = \"2\"", "5"), &words);
    let link = |timeout: &str| {
        let link = format!("[[links]]\nfrom = \"shop\"\nto = \"stock\"\ntimeout = {timeout}\n");
        check(&shop("stock/items/{id}", &link), &[])
    };
    refused(&link("5"), &["if you mean seconds, write \"5s\""]);
    refused(&link("250"), &["if you mean milliseconds, write \"250ms\""]);
    let run = shop("stock/items/{id}", "").run(&["--virtual", "--for", "10"]);
    refused(&run, &["if you mean seconds, write \"10s\""]);
    let run = shop("stock/items/{id}", "").run(&["--virtual", "--for", "-5s"]);
    refused(&run, &["a length of time cannot be negative: \"-5s\""]);
}

#[test]
fn a_retry_after_that_no_client_can_read_is_a_warning() {
    let fault = |value: &str| {
        let fault = format!(
            "[[faults]]\nname = \"busy\"\nkind = \"error\"\nstatus = 503\nheaders = {{ Retry-After = \"{value}\" }}\ntarget = {{ service = \"stock\" }}\n"
        );
        shop("stock/items/{id}", &fault)
    };
    warned(&fault("soon"), &["\"soon\" is neither seconds nor a date", "has no effect"]);
    for value in ["3", "Thu, 01 Jan 2026 00:00:03 GMT"] {
        assert_eq!(check(&fault(value), &["--strict"]).stderr, "");
    }
}

#[test]
fn tests_of_a_match_that_no_value_meets_are_refused() {
    let fault = |test: &str| {
        let fault = format!(
            "[[faults]]\nname = \"slow\"\nkind = \"latency\"\ndelay = \"5ms\"\ntarget = {{ service = \"stock\" }}\nmatch = {{ \"body./n\" = {{ {test} }} }}\n"
        );
        check(&shop("stock/items/{id}", &fault), &[])
    };
    refused(
        &fault("gt = 5, lt = 3"),
        &["no value of \"body./n\" meets these tests: a number that is above 5 and below 3"],
    );
    refused(&fault("ge = 5, lt = 5"), &["a number that is 5 or more and below 5"]);
    refused(&fault("eq = 2, gt = 5"), &["above 5 and 2 or less"]);
    refused(&fault("exists = false, eq = 2"), &["what is not there has no value"]);
    for good in ["gt = 3, lt = 5", "ge = 5, le = 5", "eq = 5, ge = 5", "exists = false, ne = 2"] {
        assert_eq!(fault(good).code, Some(0), "{good}: {}", fault(good).stderr);
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_topology_and_utf_16_is_refused_by_name() {
    let topology = shop("stock/items/{id}", "");
    let text = std::fs::read_to_string(topology.path()).expect("a topology");
    std::fs::write(topology.path(), format!("\u{feff}{text}")).expect("a topology");
    assert_eq!(check(&topology, &["--strict"]).stderr, "");
    let wrong = format!("\u{feff}{}", text.replace("guest = \"service\"", "guest = \"servce\""));
    std::fs::write(topology.path(), wrong).expect("a topology");
    let checked = check(&topology, &[]);
    refused(&checked, &["unknown guest \"servce\""]);
    assert!(checked.stderr.contains("shop.toml:9:9"), "{}", checked.stderr);
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [units.clone(), [&[0xff, 0xfe], &units[..]].concat()] {
        std::fs::write(topology.path(), bytes).expect("a topology");
        refused(&check(&topology, &[]), &["is UTF-16", "save it as UTF-8"]);
    }
}

#[test]
fn a_fault_that_is_off_does_not_stop_a_service_from_being_a_real_server() {
    let fault = "[services.bank]\nurl = \"http://127.0.0.1:9\"\n\n[[faults]]\nname = \"slow\"\nkind = \"cpu\"\ntimes = 3\n\
                 target = { service = \"bank\", replica = 0 }\nenabled = false\n";
    let topology = shop("stock/items/{id}", fault);
    warned(&topology, &["\"bank\" is a real server: a fault of kind \"cpu\" cannot reach into it"]);
    let on = check(&topology, &["--fault", "slow=on"]);
    refused(&on, &["the fault \"slow\" cannot reach into a real server"]);
    let on = check(&shop("stock/items/{id}", &fault.replace("enabled = false", "")), &[]);
    refused(&on, &["a fault of kind \"cpu\" cannot reach into it"]);
    said(&on, &["1 problem"]);
}
