//! Topics in the configuration of services without code.

use super::{check, warned};
use crate::support::{Topology, refused, said};

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

/// `shop` has this route and `mailer` does this for each message; `post` has routes that `mailer` may call.
fn by_call(place: &str, mail: &str, post: &str) -> Topology {
    let text = format!(
        "[topology]\nname = \"ring\"\n[ingress]\nto = \"shop\"\n\
         [services.shop]\nguest = \"service\"\nconfig.place = {{ route = \"POST /orders/{{id}}\", {place} }}\n\
         [services.mailer]\nguest = \"service\"\nconfig.mail = {{ topic = \"orders\", {mail} }}\n\
         [services.post]\nguest = \"service\"\n{post}\n[topics.orders]\n[topics.dead]\n\
         [[subscriptions]]\ntopic = \"orders\"\nservice = \"mailer\"\n"
    );
    Topology::new("ring", text)
}

const LETTER: &str =
    "config.letter = { route = \"POST /letters/{id}\", calls = \"50% 4x POST shop/orders/{id}\" }";

#[test]
fn messages_go_round_by_way_of_calls() {
    let place = "publish = \"orders/{id}\"";
    warned(
        &by_call(place, "calls = \"POST shop/orders/{key}\"", LETTER),
        &[
            "messages go round: orders -> mailer -> shop POST /orders/{id} -> orders, and each leads to 1 further \
             message of \"orders\"",
            "the message that closes it",
        ],
    );
    let ring =
        "messages go round: orders -> mailer -> post POST /letters/{id} -> shop POST /orders/{id} -> orders";
    let letters = "calls = \"100x POST post/letters/{key}\"";
    warned(&by_call(place, letters, LETTER), &[ring, "and each leads to 200 further messages of \"orders\""]);
    // Of those that fail, of a share, and of answers that are kept there are fewer.
    let fewer = [
        (format!("{place}, errors = 0.5"), "calls = \"POST shop/orders/{key}\""),
        (place.to_owned(), "calls = \"90% POST shop/orders/{key}\""),
        (format!("{place}, cache = \"10s\""), letters),
    ];
    for (place, mail) in fewer {
        let checked = check(&by_call(&place, mail, LETTER), &[]);
        assert!(!checked.stderr.contains("go round"), "{place} {mail}: {}", checked.stderr);
    }
}

#[test]
fn every_ring_is_named_also_if_it_shares_a_part_with_another() {
    let mail = "publish = \"orders/{key}\", calls = \"POST shop/orders/{key}, POST post/letters/{key}\"";
    let checked = check(&by_call("publish = \"orders/{id}\"", mail, LETTER), &[]);
    // In the order of the places that close them: the shop comes first in the file.
    let rings = [
        "messages go round: orders -> mailer -> shop POST /orders/{id} -> orders,",
        "messages go round: orders -> mailer -> post POST /letters/{id} -> shop POST /orders/{id} -> orders,",
        "messages go round: orders -> mailer -> orders,",
    ];
    said(&checked, &rings);
    let told = checked.told();
    assert!(rings.map(|ring| told.find(ring)).is_sorted(), "{}", checked.stderr);
}

#[test]
fn of_a_great_many_rings_ten_are_named() {
    // Each of five topics leads to all: of length 1 to 5 these are 5, 10, 20, 30 and 24 rings.
    let names = ["a", "b", "c", "d", "e"];
    let all = names.join(", ");
    let consumer = |name: &str| {
        format!(
            "[services.to-{name}]\nguest = \"service\"\nconfig.go = {{ topic = \"{name}\", publish = \"{all}\" }}\n\
             [topics.{name}]\n[[subscriptions]]\ntopic = \"{name}\"\nservice = \"to-{name}\"\n"
        )
    };
    let text = format!("[topology]\nname = \"many\"\n{}", names.map(consumer).concat());
    let checked = check(&Topology::new("many", text), &[]);
    let told = checked.told();
    assert_eq!(told.matches("messages go round: ").count(), 10, "{}", checked.stderr);
    said(&checked, &["a -> to-a -> a,", "messages go round in 79 more ways", "mend these, and check again"]);
}

#[test]
fn rings_that_become_fewer_alone_are_named_if_they_do_not_together() {
    let mail = |share: &str| {
        let text =
            format!("publish = \"{share} orders/{{key}}\", calls = \"{share} POST shop/orders/{{key}}\"");
        by_call("publish = \"orders/{id}\"", &text, LETTER)
    };
    warned(
        &mail("60%"),
        &[
            "messages go round by several ways, and each leads to 1.2 further messages of \"orders\" by all of them: \
             orders -> mailer -> orders; orders -> mailer -> shop POST /orders/{id} -> orders",
        ],
    );
    let checked = check(&mail("49%"), &[]);
    assert!(!checked.stderr.contains("go round"), "{}", checked.stderr);
}

/// Each of 25 topics leads to all: nobody can name all orders of them.
#[test]
fn rings_that_are_too_many_to_be_found_are_told_by_what_they_do_together() {
    let topology = |share: &str| {
        let names: Vec<_> = (0..25).map(|number| format!("t{number}")).collect();
        let all: Vec<_> = names.iter().map(|name| format!("{share} {name}")).collect();
        let publish = all.join(", ");
        let consumer = |name: &String| {
            format!(
                "[services.to-{name}]\nguest = \"service\"\n\
                 config.go = {{ topic = \"{name}\", publish = \"{publish}\" }}\n\
                 [topics.{name}]\n[[subscriptions]]\ntopic = \"{name}\"\nservice = \"to-{name}\"\n"
            )
        };
        let consumers: String = names.iter().map(consumer).collect();
        Topology::new("dense", format!("[topology]\nname = \"dense\"\n{consumers}"))
    };
    said(
        &check(&topology("5%"), &[]),
        &["messages go round by several ways, and each leads to a great many"],
    );
    let checked = check(&topology("3%"), &[]);
    assert!(!checked.stderr.contains("go round"), "{}", checked.stderr);
}

/// Ten topics lead to each other, by more rings than can be found, and to a ring of two more.
fn dense(publish: &str, last: &str) -> Topology {
    let consumer = |name: &str, publish: &str| {
        format!(
            "[services.c-{name}]\nguest = \"service\"\n\
             config.go = {{ topic = \"{name}\", publish = \"{publish}\" }}\n\
             [topics.{name}]\n[[subscriptions]]\ntopic = \"{name}\"\nservice = \"c-{name}\"\n"
        )
    };
    let names: Vec<_> = (0..10).map(|number| format!("t{number}")).collect();
    let all: Vec<_> = names.iter().map(|name| format!("{publish} {name}")).collect();
    let to_all = format!("{}, 1% t10", all.join(", "));
    let consumers: String = names.iter().map(|name| consumer(name, &to_all)).collect();
    let ring = consumer("t10", last) + &consumer("t11", "2x t10");
    Topology::new("dense", format!("[topology]\nname = \"dense\"\n{consumers}{ring}"))
}

#[test]
fn a_ring_is_found_beside_and_among_others_that_are_too_many() {
    let ring = "messages go round: t10 -> c-t10 -> t11 -> c-t11 -> t10, and each leads to 2 further messages";
    said(&check(&dense("1%", "t11"), &[]), &[ring]);
    // Now the two lead back to the ten.
    said(
        &check(&dense("1%", "t11, 1% t0"), &[]),
        &[ring, "messages may go round in further ways, which are too many to be followed"],
    );
    let checked = check(&dense("1%", "49% t11"), &[]);
    assert!(!checked.stderr.contains("go round"), "{}", checked.stderr);
}

#[test]
fn rings_that_grow_together_alone_hide_no_other_one() {
    let checked = check(&dense("11%", "t11"), &[]);
    let told = checked.told();
    assert!(told.contains("messages go round by several ways"), "{}", checked.stderr);
    assert!(told.contains("messages go round: t10 -> c-t10 -> t11"), "{}", checked.stderr);
}

/// Topics each of which leads to all, by what stands beside the tables of one service.
fn complete(topics: usize, share: &str) -> Topology {
    let all: Vec<_> = (0..topics).map(|number| format!("{share} t{number}")).collect();
    let config: String =
        (0..topics).map(|number| format!("config.g{number} = {{ topic = \"t{number}\" }}\n")).collect();
    let subscription =
        |number| format!("[topics.t{number}]\n[[subscriptions]]\ntopic = \"t{number}\"\nservice = \"all\"\n");
    let subscriptions: String = (0..topics).map(subscription).collect();
    let text = format!(
        "[topology]\nname = \"complete\"\n[services.all]\nguest = \"service\"\nconfig.publish = \"{}\"\n\
         {config}{subscriptions}",
        all.join(", ")
    );
    Topology::new("complete", text)
}

/// There are 90,000 ways from topic to topic, and more rings than there are atoms.
#[test]
fn messages_of_hundreds_of_topics_that_all_lead_to_each_other_are_told_by_what_they_do_together() {
    said(&check(&complete(300, "100%"), &[]), &["messages go round: t0 -> all -> t0,", "more ways"]);
    let words = "messages go round by more ways than can be followed, and do not become fewer: \"t0\"";
    said(&check(&complete(300, "1%"), &[]), &[words]);
    let checked = check(&complete(300, "0.3%"), &[]);
    assert!(!checked.stderr.contains("go round"), "{}", checked.stderr);
}

/// Messages go to and fro along rows of topics for long, and one in a hundred is lost at each step.
#[test]
fn messages_that_come_back_are_followed_within_the_steps_of_all() {
    let consumer = |name: &str, topic: usize, publish: &str| {
        format!(
            "[services.{name}{topic}]\nguest = \"service\"\n\
             config.go = {{ topic = \"t{topic}\", publish = \"{publish}\" }}\n\
             [[subscriptions]]\ntopic = \"t{topic}\"\nservice = \"{name}{topic}\"\n"
        )
    };
    let topology = |length: usize| {
        let topic = |at: usize| {
            let [back, on] = [(at + length - 1) % length, (at + 1) % length];
            let to_and_fro = format!("39% t{back}, 39% t{on}, 10% t{at}");
            let more = consumer("b", at, &format!("11% t{at}"));
            format!("[topics.t{at}]\n{}{more}", consumer("a", at, &to_and_fro))
        };
        let row: String = (0..length).map(topic).collect();
        let pair = ["a", "b"].map(|name| consumer(name, length, &format!("60% t{length}"))).concat();
        Topology::new("row", format!("[topology]\nname = \"row\"\n{row}[topics.t{length}]\n{pair}"))
    };
    for length in [3, 200] {
        let checked = check(&topology(length), &[]);
        let grows = format!("each leads to 1.2 further messages of \"t{length}\"");
        said(&checked, &["messages go round by several ways", &grows]);
        assert_eq!(checked.told().matches("go round").count(), 1, "{}", checked.stderr);
    }
}

/// All topics but the last lead to that, and it to all: only the last one has several rings of its own.
#[test]
fn rings_that_share_a_topic_grow_together_whichever_comes_first() {
    let consumer = |number: usize, publish: &str| {
        format!(
            "[topics.t{number}]\n[services.c{number}]\nguest = \"service\"\n\
             config.go = {{ topic = \"t{number}\", publish = \"{publish}\" }}\n\
             [[subscriptions]]\ntopic = \"t{number}\"\nservice = \"c{number}\"\n"
        )
    };
    let star = |share: &str| {
        let leaves: String = (0..4).map(|number| consumer(number, &format!("{share} t4"))).collect();
        let hub = consumer(4, "t0, t1, t2, t3");
        Topology::new("star", format!("[topology]\nname = \"star\"\n{leaves}{hub}"))
    };
    let words = [
        "messages go round by several ways, and each leads to 1.2 further messages of \"t4\" by all of them: \
         t4 -> c4 -> t0 -> c0 -> t4; t4 -> c4 -> t1 -> c1 -> t4; t4 -> c4 -> t2 -> c2 -> t4",
        "the message that closes the first",
    ];
    said(&check(&star("30%"), &[]), &words);
    let row = |back: &str| {
        let all = [consumer(0, "60% t1"), consumer(1, &format!("50% t0, {back} t2")), consumer(2, "t1")];
        Topology::new("row", format!("[topology]\nname = \"row\"\n{}", all.concat()))
    };
    let words = "each leads to 1.1 further messages of \"t1\" by all of them: t1 -> c1 -> t0 -> c0 -> t1; \
                 t1 -> c1 -> t2 -> c2 -> t1";
    said(&check(&row("80%"), &[]), &[words]);
    let checked = check(&row("60%"), &[]);
    assert!(!checked.stderr.contains("go round"), "{}", checked.stderr);
    let checked = check(&star("24%"), &[]);
    assert!(!checked.stderr.contains("go round"), "{}", checked.stderr);
}

#[test]
fn databases_of_a_topology_have_a_bound() {
    let database = |number| format!("[databases.d{number}]\ntables = \"CREATE TABLE a (n int)\"\n");
    let databases: String = (0..1_001).map(database).collect();
    let text = format!("[topology]\nname = \"many\"\n[services.a]\nguest = \"service\"\n{databases}");
    let words = ["the topology has 1001 databases", "a topology may have 1000"];
    refused(&check(&Topology::new("many", text), &[]), &words);
}

#[test]
fn calls_and_messages_of_a_topology_have_a_bound() {
    let sent = complete(500, "0.1%");
    said(&check(&sent, &[]), &["together have more than 200,000 calls and messages"]);
    let routes: String =
        (0..400).map(|number| format!("config.g{number} = {{ route = \"GET /{number}\" }}\n")).collect();
    let calls: Vec<_> = (0..300).map(|number| format!("to/{number}")).collect();
    let text = format!(
        "[topology]\nname = \"calls\"\n[services.from]\nguest = \"service\"\nconfig.calls = \"{}\"\n{routes}\
         [services.to]\nguest = \"service\"\n{routes}",
        calls.join(", ")
    );
    let words =
        "make more than 100,000 calls: further ones of \"from\" and of those below it are not checked";
    said(&check(&Topology::new("calls", text), &[]), &[words]);
}

#[test]
fn dead_letters_and_messages_make_a_ring_together() {
    let mailer = "config.mail = { topic = \"order-events\", errors = 1.0 }\n\
                  config.again = { topic = \"again\", publish = \"order-events/{key}\" }";
    let more = format!(
        "{SUBSCRIPTION}dead-letter = \"again\"\n[topics.again]\n\
         [[subscriptions]]\ntopic = \"again\"\nservice = \"mailer\"\n"
    );
    let ring =
        "messages go round: order-events -> mailer -> again -> mailer -> order-events, and each leads to 1";
    warned(&shop("order-events/{id}", mailer, &more), &[ring]);
    // Of three attempts all fail for one message in eight.
    let checked = check(&shop("order-events/{id}", &mailer.replace("1.0", "0.5"), &more), &["--strict"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
}

#[test]
fn a_request_that_leads_to_a_great_many_messages_is_a_warning() {
    let fan_by = |letter: &str, first: &str, second: &str| {
        let more = "[services.packer]\nguest = \"service\"\nconfig.pack = { topic = \"dead\" }\n\
                    [[subscriptions]]\ntopic = \"dead\"\nservice = \"packer\"";
        let place = format!("publish = \"{first} orders/{{id}}\"");
        let mail = format!("publish = \"{second} dead/{{key}}\"");
        by_call(&place, &mail, &format!("{letter}\n{more}"))
    };
    let fan = |first: &str, second: &str| fan_by(LETTER, first, second);
    warned(
        &fan("1000x", "1000x"),
        &[
            "one request leads to 1,000,000 messages that consumers send: shop POST /orders/{id} -> orders",
            "one request leads to 2,000,000 messages that consumers send: post POST /letters/{id} -> shop",
            "more than 100,000 messages for each request",
        ],
    );
    let job = "config.count = { job = \"nightly\", publish = \"500x orders\" }";
    let schedule = "[[schedules]]\nservice = \"shop\"\njob = \"nightly\"\nevery = \"1h\"";
    let topology = fan("1000x", "1000x").with("[services.shop]", job).with("[topics.orders]", schedule);
    warned(
        &topology,
        &["one run of a job leads to 500,000 messages that consumers send: shop job nightly -> orders"],
    );
    // What a request sends itself counts for no bound of a run, by way of calls neither.
    let letter = LETTER.replace("50% 4x ", "");
    let on_edge = |second: &str| check(&fan_by(&letter, "1000x", second), &[]);
    for second in ["9x", "100x"] {
        let checked = on_edge(second);
        assert!(!checked.stderr.contains("one request leads to"), "{}", checked.stderr);
    }
    said(
        &on_edge("101x"),
        &[
            "one request leads to 101,000 messages that consumers send: post POST /letters/{id} -> shop POST",
            "the most of them",
        ],
    );
}

/// Each message leads to 100, and that 160 times: no number holds so many.
#[test]
fn a_request_may_lead_to_more_messages_than_numbers_hold() {
    let topology = |dead_letter: &str| {
        let consumer = |number: usize| {
            format!(
                "[topics.t{number}]\n[services.c{number}]\nguest = \"service\"\n\
                 config.go = {{ topic = \"t{number}\", publish = \"100x t{}\" }}\n\
                 [[subscriptions]]\ntopic = \"t{number}\"\nservice = \"c{number}\"\n{dead_letter}",
                number + 1
            )
        };
        let consumers: String = (0..160).map(consumer).collect();
        let web = "[services.web]\nguest = \"service\"\n\
                   config.go = { route = \"GET /\", publish = \"t0\" }";
        let head = "[topology]\nname = \"steep\"\n[limits]\ncall-depth = 300\n[ingress]\nto = \"web\"";
        Topology::new("steep", format!("{head}\n{web}\n{consumers}[topics.t160]\n"))
    };
    for dead_letter in ["", "dead-letter = \"t160\"\n"] {
        let said = check(&topology(dead_letter), &[]).told();
        assert!(
            said.contains("leads to a great many messages that consumers send: web GET / -> t0"),
            "{said}"
        );
    }
}
