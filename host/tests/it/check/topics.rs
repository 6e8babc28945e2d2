//! Topics in the configuration of services without code.

use super::{check, warned};
use crate::support::{Topology, refused};

/// A shop that sends messages and a mailer that gets them.
fn shop(publish: &str, mailer: &str, more: &str) -> Topology {
    let text = format!(
        "[topology]\nname = \"shop\"\n[ingress]\nlisten = \"127.0.0.1:0\"\nto = \"shop\"\n\
         [services.shop]\nguest = \"service\"\nconfig.metrics.publish = \"counter\"\n\
         config.place = {{ route = \"POST /orders/{{id}}\", publish = \"{publish}\" }}\n\
         [services.mailer]\nguest = \"service\"\n{mailer}\n\
         [topics.order-events]\n{more}\n"
    );
    Topology::new("shop", text)
}

const MAIL: &str = "config.mail = { topic = \"order-events\" }";
const SUBSCRIPTION: &str = "[[subscriptions]]\ntopic = \"order-events\"\nservice = \"mailer\"\n";

#[test]
fn a_topic_that_is_sent_to_is_there() {
    let words =
        ["\"shop\" sends to \"order-event\", which is no topic of this topology", "\"order-events\"?"];
    refused(&check(&shop("order-event/{id}", MAIL, SUBSCRIPTION), &[]), &words);
    warned(&shop("order-events, 10% order-event?", MAIL, SUBSCRIPTION), &words);
    let checked = check(&shop("order-events/{id}", MAIL, SUBSCRIPTION), &["--strict"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
}

#[test]
fn a_service_gets_messages_of_the_topics_of_its_subscriptions() {
    let more = "[services.other]\nguest = \"service\"\nconfig.mail = { topic = \"order-events\" }\n";
    let words = ["\"other\" gets no messages of \"order-events\": it has no subscription"];
    warned(&shop("order-events", MAIL, &format!("{SUBSCRIPTION}{more}")), &words);
    let words = ["\"mailer\" consumes \"order-events\", and its guest takes no messages of that topic"];
    refused(&check(&shop("order-events", "", SUBSCRIPTION), &[]), &words);
}

#[test]
fn a_fault_of_messages_strikes_a_topic_that_somebody_sends_to() {
    let lost = |target: &str| {
        let fault = format!("[[faults]]\nname = \"lost\"\nkind = \"lose-messages\"\ntarget = {target}\n");
        let audits = "[topics.audits]\n[[subscriptions]]\ntopic = \"audits\"\nservice = \"mailer\"\n";
        shop(
            "order-events/{id}",
            &format!("{MAIL}\nconfig.audit = {{ topic = \"audits\" }}"),
            &format!("{SUBSCRIPTION}{audits}{fault}"),
        )
    };
    let words =
        ["the fault \"lost\" never strikes: nobody sends to the topic \"audits\"", "publish = \"audits\""];
    warned(&lost("{ topic = \"audits\" }"), &words);
    let words = ["where it is drawn for audits, the fault \"lost\" never strikes: nobody sends"];
    warned(&lost("{ one-of = [{ topic = \"order-events\" }, { topic = \"audits\" }] }"), &words);
    let checked = check(&lost("{ topic = \"order-events\" }"), &["--strict"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    // What a guest from the command line sends is not known.
    let checked = check(&lost("{ topic = \"audits\" }"), &["--strict", "--guest", "shop=storefront"]);
    assert!(!checked.stderr.contains("nobody sends"), "{}", checked.stderr);
}

#[test]
fn messages_in_a_configuration_are_refused_with_all_that_is_wrong() {
    let mailer = format!(
        "{MAIL}\nconfig.again = {{ topic = \"order-events\", cache = \"1s\" }}\n\
         config.both = {{ topic = \"order-events\", job = \"mail\" }}"
    );
    let words = [
        "messages have no methods",
        "write topics and keys",
        "a topic has no answer",
        "the table has a `job` and a `topic`",
    ];
    refused(&check(&shop("POST order-events", &mailer, SUBSCRIPTION), &[]), &words);
}
