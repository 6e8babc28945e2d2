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

#[test]
fn messages_that_lead_to_at_least_as_many_of_the_same_topic_go_round() {
    let to = |publish: &str| format!("config.mail = {{ topic = \"order-events\", publish = \"{publish}\" }}");
    let sends = |publish: &str| shop("order-events/{id}", &to(publish), SUBSCRIPTION);
    let words = [
        "messages go round: order-events -> mailer -> order-events, and each leads to 2 further messages",
        "limits.call-depth of 32",
        "publish = \"10% order-events\"",
    ];
    warned(&sends("order-events/{key}, order-events/{key}"), &words);
    warned(&sends("50% 4x order-events"), &words);
    warned(&sends("order-events"), &["and each leads to 1 further message of \"order-events\""]);
    let checked = check(&sends("99% order-events?"), &["--strict"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
}

#[test]
fn messages_go_round_over_several_topics_and_services() {
    let more = "[services.billing]\nguest = \"service\"\n\
                config.publish = \"order-events, order-events, order-events\"\n\
                config.bill = { topic = \"bills\", errors = \"50%\" }\n\
                [topics.bills]\n[[subscriptions]]\ntopic = \"bills\"\nservice = \"billing\"\n";
    let round = |share: &str, attempts: u32| {
        let mailer = format!("config.mail = {{ topic = \"order-events\", publish = \"{share} bills\" }}");
        let retry = format!("retry = {{ attempts = {attempts} }}\n");
        shop("order-events/{id}", &mailer, &format!("{SUBSCRIPTION}{more}{retry}"))
    };
    let ring =
        "messages go round: order-events -> mailer -> bills -> billing -> order-events, and each leads to";
    warned(&round("50%", 5), &[ring, "1 further message of \"order-events\""]);
    warned(&round("100%", 1), &[ring]);
    // Half of the bills are given up at once.
    let checked = check(&round("50%", 1), &["--strict"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
}

#[test]
fn dead_letters_that_come_back_go_round() {
    let subscription = |topic: &str, dead: &str| {
        format!("[[subscriptions]]\ntopic = \"{topic}\"\nservice = \"mailer\"\n{dead}\n")
    };
    let mailer = format!("{MAIL}\nconfig.again = {{ topic = \"again\" }}");
    let with = |dead: &str| {
        let first = subscription("order-events", "dead-letter = \"again\"");
        shop("order-events/{id}", &mailer, &format!("{first}[topics.again]\n{}", subscription("again", dead)))
    };
    warned(
        &with("dead-letter = \"order-events\""),
        &[
            "dead letters go round: order-events -> mailer -> again -> mailer -> order-events",
            "leave out the dead-letter",
        ],
    );
    let checked = check(&with(""), &["--strict"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
}
