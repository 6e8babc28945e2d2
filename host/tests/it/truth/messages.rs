//! What faults do to work that no client waits for: messages in their groups, and runs of jobs.

use std::path::Path;

use serde_json::{Value, json};

use super::{lines, records, summary, written};
use crate::support::{Topology, guest, schema};

/// The shipped topology of a kind of fault.
fn shipped(kind: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../topologies/faults/{kind}.toml"));
    std::fs::read_to_string(path).expect("a topology")
}

/// What the last line tells of the only fault of a topology, in forty-five seconds.
fn told(text: String) -> Value {
    let topology = Topology::new("told", text);
    let flags = ["--virtual", "--for", "45s", "--seed", "5", "--truth", "truth.jsonl", "--show", "none"];
    topology.run(&flags).success();
    let lines = lines(&written(&topology));
    let described = serde_json::to_value(simhost::truth::schema()).expect("JSON");
    lines.iter().for_each(|line| assert_eq!(schema::problems(&described, line), [""; 0], "{line}"));
    lines.last().expect("a summary")["faults"][0].clone()
}

/// A number of the only group that has changed.
#[track_caller]
fn number(row: &Value, key: &str) -> u64 {
    let groups = row["causes"]["groups"].as_array().expect("groups");
    assert_eq!(groups.len(), 1, "{row:#}");
    groups[0][key].as_u64().unwrap_or_else(|| panic!("no {key} in {row:#}"))
}

/// Where a service stands to the fault.
fn role<'a>(row: &'a Value, service: &str) -> Option<&'a str> {
    let services = row["causes"]["services"].as_array().expect("services");
    services.iter().find(|row| row["service"] == service)?["role"].as_str()
}

/// The seconds from the first message that is worse off until the last was done.
#[track_caller]
fn visible(row: &Value) -> (f64, f64) {
    let at = |key: &str| row["causes"]["visible_impact"][key].as_f64();
    at("start_at").zip(at("end_at")).unwrap_or_else(|| panic!("no impact of {row:#}"))
}

#[test]
fn late_messages_are_late_and_so_are_those_behind_them() {
    let row = told(shipped("late-messages"));
    assert!(number(&row, "late") > row["injected"].as_u64().expect("a number"), "{row:#}");
    assert_eq!((number(&row, "repeated"), number(&row, "lost"), number(&row, "undone")), (0, 0, 0));
    assert!(number(&row, "compared") > 800 && number(&row, "visible") == number(&row, "late"), "{row:#}");
    let (start, end) = visible(&row);
    assert!(start >= 20.0 && end > 30.0 && end < 44.0, "{start} {end}");
    assert_eq!(role(&row, "mailer"), Some("struck"), "{row:#}");
    // No request waits for it.
    assert_eq!(row["causes"]["changed"], 0);
    let first = &row["causes"]["groups"][0]["first_visible"];
    assert_eq!((&first["visible_as"], first["at"].as_f64()), (&json!("late"), Some(start)));
    let symptom = &row["first_symptom"];
    let same = ["trace_id", "span_id", "at", "took_ms"].map(|key| symptom[key] == first[key]);
    assert_eq!(same, [true; 4], "{row:#}");
    let of = ["kind", "service", "topic", "group", "visible_as"].map(|key| symptom[key].as_str());
    assert_eq!(of.map(Option::unwrap_or_default), ["message", "mailer", "order-events", "mailer", "late"]);
}

#[test]
fn messages_that_overtake_one_another_are_late() {
    let row = told(shipped("reorder-messages"));
    assert!(number(&row, "late") > 20 && number(&row, "lost") == 0, "{row:#}");
    assert!(visible(&row).0 >= 20.0, "{row:#}");
}

#[test]
fn lost_messages_are_lost_and_missed_from_when_they_would_have_been_done() {
    let row = told(shipped("lose-messages"));
    assert_eq!(row["injected"], number(&row, "lost"));
    let groups = &row["causes"]["groups"][0];
    assert_eq!((&groups["undone"], &groups["first_visible"]["visible_as"]), (&json!(0), &json!("lost")));
    let (start, end) = visible(&row);
    assert!(start >= 20.0 && end < 42.0, "{start} {end}");
    // It consumes what was sent by the one that is struck.
    assert_eq!((role(&row, "shop"), role(&row, "mailer")), (None, Some("downstream")), "{row:#}");
}

#[test]
fn messages_that_are_there_twice_are_done_more_than_once() {
    let twice = shipped("lose-messages").replace("kind = \"lose-messages\"", "kind = \"duplicate\"");
    let row = told(twice);
    assert_eq!(row["injected"], number(&row, "repeated"));
    assert_eq!(row["causes"]["groups"][0]["first_visible"]["visible_as"], "repeated");
}

#[test]
fn a_group_that_is_paused_is_told_with_its_lag_and_the_other_group_is_not() {
    let row = told(shipped("consumer-pause"));
    let group = &row["causes"]["groups"][0];
    assert_eq!(group["group"], "mails", "{row:#}");
    assert!(number(&row, "late") > 300, "{row:#}");
    let lag = |key: &str| group["lag_max"][key].as_u64().expect("a number");
    assert!(lag("with") > 300 && lag("without") < 20, "{group}");
    // The pause is from 20 s to 40 s.
    let (start, end) = visible(&row);
    assert!((19.0..21.0).contains(&start) && (40.0..47.0).contains(&end), "{start} {end}");
    assert_eq!(group["undone"], 0);
}

#[test]
fn messages_that_a_pause_without_end_holds_are_undone_until_the_run_ends() {
    let row = told(shipped("consumer-pause").replace("for = \"20s\"", "for = \"10m\""));
    assert!(number(&row, "undone") > 400 && number(&row, "lost") == 0, "{row:#}");
    assert_eq!(row["injected"], number(&row, "undone"), "what it keeps is struck, if nobody ever has it");
    assert!(visible(&row).1 >= 45.0, "{row:#}");
}

#[test]
fn a_storm_of_rebalances_lets_messages_be_done_again() {
    let row = told(shipped("rebalance-storm").replace("work = \"20ms +/- 5ms\"", "work = \"120ms +/- 5ms\""));
    assert!(number(&row, "repeated") > 3 && number(&row, "late") > 50, "{row:#}");
    assert_eq!((number(&row, "lost"), number(&row, "undone")), (0, 0));
}

/// A message of one kind fails until it is given up, by an error of a service below its consumer.
#[test]
fn a_poison_message_is_told_with_the_messages_behind_it() {
    let shop = shipped("late-messages");
    let (before, rest) = shop.split_once("[[faults]]").expect("a fault");
    let load = &rest[rest.find("[[load]]").expect("a load")..];
    let before = before.replace("work = \"20ms +/- 5ms\" }", "calls = \"smtp/mails/{key}\" }").replace(
        "[[subscriptions]]\n",
        "[topics.dead]\n[[subscriptions]]\nretry = { attempts = 3, backoff = \"1s\" }\ndead-letter = \"dead\"\n",
    );
    let poison = "[services.smtp]\nguest = \"service\"\nconfig.mail = { route = \"GET /mails/{id}\", work = \"5ms\" }\n\
                  [[faults]]\nname = \"poison\"\nkind = \"error\"\nstatus = 500\ntarget = { service = \"smtp\" }\n\
                  match = { \"param.id\" = \"7\" }\nwhen = { at = \"10s\", for = \"20s\" }\n";
    let row = told(format!("{before}{poison}{load}"));
    let given_up = number(&row, "given_up");
    assert!(given_up > 0 && number(&row, "dead_letters") == given_up, "{row:#}");
    assert!(number(&row, "failed") >= given_up && number(&row, "late") > 20, "{row:#}");
    assert_eq!((role(&row, "smtp"), role(&row, "mailer")), (Some("struck"), Some("upstream")), "{row:#}");
    let mailer = row["causes"]["services"].as_array().expect("services");
    let mailer = mailer.iter().find(|row| row["service"] == "mailer").expect("it differs");
    assert_eq!(
        (&mailer["with"]["messages"]["given_up"], &mailer["with"]["runs"]),
        (&json!(given_up), &Value::Null)
    );
    assert_eq!(mailer["without"]["messages"]["given_up"], 0);
    assert!(visible(&row).0 >= 10.0, "{row:#}");
}

#[test]
fn a_fault_that_messages_have_nothing_to_do_with_changes_none() {
    let shop = shipped("late-messages");
    let (before, rest) = shop.split_once("[[faults]]").expect("a fault");
    let load = &rest[rest.find("[[load]]").expect("a load")..];
    let fault = |when: &str| {
        format!(
            "[services.page]\nguest = \"service\"\n[[load]]\nname = \"readers\"\nto = \"page\"\n\
             request = {{ path = \"/\" }}\narrivals.constant = \"5/s\"\n[[faults]]\nname = \"slow\"\n\
             kind = \"latency\"\ndelay = \"300ms\"\ntarget = {{ service = \"page\" }}\nwhen = {{ {when} }}\n"
        )
    };
    let row = told(format!("{before}{}{load}", fault("at = \"10s\", for = \"5s\"")));
    let causes = &row["causes"];
    assert!(causes["changed"].as_u64() > Some(20) && causes["impact"].is_object(), "{row:#}");
    assert_eq!((&causes["groups"], &causes["jobs"]), (&json!([]), &json!([])));
    let never = told(format!("{before}{}{load}", fault("at = \"10m\"")));
    assert_eq!((&never["causes"], &never["causes_skipped"]), (&Value::Null, &json!("never_fired")));
}

#[test]
fn runs_of_jobs_that_a_fault_strikes_are_told() {
    let text = |fault: &str| {
        format!(
            "[topology]\nname = \"chores\"\nseed = 5\n[services.chores]\nguest = {chores:?}\n\
             config.next = \"shelf\"\n[services.shelf]\nguest = \"service\"\nconfig.work = \"5ms\"\n\
             [[schedules]]\nservice = \"chores\"\njob = \"sweep\"\nevery = \"1s\"\nstart = \"500ms\"\n\
             [[schedules]]\nservice = \"chores\"\njob = \"rest\"\nevery = \"10s\"\n\
             [[faults]]\nname = \"it\"\n{fault}\nwhen = {{ at = \"10s\", for = \"5s\" }}\n",
            chores = guest("tests/chores")
        )
    };
    let row = told(text("kind = \"down\"\ntarget = { service = \"chores\" }"));
    let job = |row: &Value, name: &str| {
        let jobs = row["causes"]["jobs"].as_array().expect("jobs");
        jobs.iter().find(|row| row["job"] == name).cloned().unwrap_or_default()
    };
    let sweep = job(&row, "sweep");
    assert_eq!((&sweep["compared"], &sweep["changed"], &sweep["failed"]), (&json!(45), &json!(5), &json!(5)));
    assert_eq!(job(&row, "rest")["failed"], 1);
    assert_eq!(role(&row, "chores"), Some("struck"));
    let (start, end) = visible(&row);
    assert!((10.0..10.6).contains(&start) && end < 15.0, "{start} {end}");
    // What a job calls is slow, and the job with it.
    let row = told(text("kind = \"latency\"\ndelay = \"300ms\"\ntarget = { service = \"shelf\" }"));
    let sweep = job(&row, "sweep");
    assert_eq!((&sweep["late"], &sweep["failed"]), (&json!(5), &json!(0)), "{row:#}");
    assert_eq!(job(&row, "rest"), Value::Null);
    assert_eq!((role(&row, "shelf"), role(&row, "chores")), (Some("struck"), Some("upstream")));
    let chores = row["causes"]["services"].as_array().expect("services");
    let chores = chores.iter().find(|row| row["service"] == "chores").expect("its jobs are slower");
    let mean = |which: &str| chores[which]["runs"]["mean_ms"].as_f64().expect("milliseconds");
    assert!(mean("with") > mean("without") + 20.0, "{chores}");
    // Runs that are left out, as the one before goes on, are over when they would have been.
    let row = told(text("kind = \"latency\"\ndelay = \"2500ms\"\ntarget = { service = \"shelf\" }"));
    let sweep = job(&row, "sweep");
    assert!(sweep["undone"].as_u64() > Some(0), "{row:#}");
    let (start, end) = visible(&row);
    assert!(start >= 10.0 && end < 20.0, "{start} {end}");
}

#[test]
fn runs_beside_one_another_add_up_their_messages() {
    let topology = Topology::new("shards", shipped("lose-messages"));
    let flags = ["--virtual", "--for", "30s", "--shards", "2", "--truth", "truth.jsonl", "--show", "none"];
    topology.run(&flags).success();
    let lines = lines(&written(&topology));
    let row = summary(&lines, "unclean-election");
    assert_eq!(row["injected"], number(row, "lost"));
}

/// The topology of late messages with another fault, whose table ends in these lines.
fn with_fault(lines: &str) -> String {
    let shop = shipped("late-messages");
    let (before, rest) = shop.split_once("[[faults]]").expect("a fault");
    let load = &rest[rest.find("[[load]]").expect("a load")..];
    format!("{before}[[faults]]\nname = \"it\"\n{lines}\n{load}")
}

#[test]
fn messages_that_wait_for_replicas_that_are_down_are_struck() {
    let lines = "kind = \"down\"\ntarget = { service = \"mailer\" }\nwhen = { at = \"20s\", for = \"5s\" }";
    let row = told(with_fault(lines));
    let (injected, late) = (row["injected"].as_u64().expect("a number"), number(&row, "late"));
    // About twenty come in a second. Those that wait behind them when the replicas are back are late too.
    assert!((80..=late).contains(&injected), "{row:#}");
    assert_eq!(row["matched"], row["injected"]);
    assert!(row["deaths"].as_u64() > Some(0), "{row:#}");
    assert_eq!(role(&row, "mailer"), Some("struck"), "{row:#}");
    let (start, end) = visible(&row);
    assert!(start >= 19.0 && end > 25.0, "{start} {end}");
    assert_eq!(
        (&row["first_symptom"]["kind"], &row["struck"][0]["service"]),
        (&json!("message"), &json!("mailer"))
    );
}

#[test]
fn messages_that_nobody_processes_any_more_are_struck_until_the_run_ends() {
    let lines = "kind = \"down\"\ntarget = { service = \"mailer\" }\nwhen = { at = \"20s\" }";
    let row = told(with_fault(lines));
    let undone = number(&row, "undone");
    assert!(undone > 400, "{row:#}");
    assert_eq!((&row["injected"], &row["matched"]), (&json!(undone), &json!(undone)), "{row:#}");
}

#[test]
fn messages_wait_for_replicas_that_crash_and_for_those_that_stand_still() {
    for (kind, more) in
        [("crash", "restart = \"5s\""), ("pause", ""), ("restart-loop", "up = \"4s\"\ndown = \"3s\"")]
    {
        let when = "when = { at = \"20s\", for = \"5s\" }";
        let text =
            with_fault(&format!("kind = \"{kind}\"\n{more}\ntarget = {{ service = \"mailer\" }}\n{when}"));
        // About twenty come in a second, with a consumer that is idle between them and with a busy one.
        for work in ["20ms", "150ms"] {
            let row = told(text.replace("work = \"20ms +/- 5ms\"", &format!("work = \"{work}\"")));
            let (injected, late) = (row["injected"].as_u64().expect("a number"), number(&row, "late"));
            assert!((80..=late).contains(&injected), "{kind} with {work}: {row:#}");
            assert_eq!(row["deaths"].is_null(), kind == "pause", "{row:#}");
        }
    }
}

/// One replica that takes `work` for each message of the only partition, and these tables.
fn one_mailer(work: &str, faults: &str, load: &str) -> Vec<Value> {
    let text = format!(
        "[topology]\nname = \"shop\"\nseed = 5\n[services.shop]\nguest = \"service\"\n\
         config.place = {{ route = \"POST /orders/{{id}}\", publish = \"orders/{{id}}\" }}\n\
         [services.mailer]\nguest = \"service\"\nworkers = 1\n\
         config.mail = {{ topic = \"orders\", work = \"{work}\" }}\n[topics.orders]\npartitions = 1\n\
         [[subscriptions]]\ntopic = \"orders\"\nservice = \"mailer\"\n{faults}\
         [[load]]\nname = \"visitors\"\nto = \"shop\"\narrivals.constant = \"1/s\"\n{load}\n\
         request = {{ method = \"POST\", path = \"/orders/1\" }}\n"
    );
    let topology = Topology::new("mailer", text);
    let flags = ["--virtual", "--for", "75s", "--truth", "truth.jsonl", "--show", "none"];
    topology.run(&flags).success();
    lines(&written(&topology))
}

fn fault(name: &str, kind: &str, when: &str) -> String {
    let target = "target = { service = \"mailer\" }";
    format!("[[faults]]\nname = \"{name}\"\nkind = \"{kind}\"\n{target}\nwhen = {{ {when} }}\n")
}

/// The traces of what a fault has struck, and for how long it has kept each: milliseconds.
fn kept(lines: &[Value], fault: &str) -> Vec<(String, Option<f64>)> {
    let firings = records(lines, "firing").into_iter().filter(|line| line["fault"] == fault);
    let trace = |line: &Value| line["trace_id"].as_str().expect("a trace").to_owned();
    firings.map(|line| (trace(line), line["drawn"]["delay_ms"].as_f64())).collect()
}

#[test]
fn messages_behind_one_that_is_being_processed_wait_for_its_replica_too() {
    // Those of the seconds 21 to 25 come in the pause. The one of second 20 is under way if that takes long.
    for (work, under_way) in [("900ms", 1), ("20ms", 0)] {
        let lines = one_mailer(work, &fault("it", "pause", "at = \"20500ms\", for = \"5s\""), "");
        let kept = kept(&lines, "it");
        let mut delays: Vec<_> = kept.iter().filter_map(|(_, delay)| *delay).collect();
        assert_eq!((kept.len() - delays.len(), delays.len()), (under_way, 5), "{kept:?}");
        delays.sort_by(f64::total_cmp);
        for (delay, from) in delays.iter().zip([400.0, 1_400.0, 2_400.0, 3_400.0, 4_400.0]) {
            assert!((from..from + 100.0).contains(delay), "{delays:?}");
        }
    }
}

#[test]
fn messages_wait_from_the_beginning_of_a_pause_that_outlasts_the_session() {
    let lines = one_mailer("900ms", &fault("it", "pause", "at = \"20500ms\", for = \"15s\""), "");
    let kept = kept(&lines, "it");
    let longest = kept.iter().filter_map(|(_, delay)| *delay).fold(0.0, f64::max);
    assert!((14_400.0..14_500.0).contains(&longest), "{kept:?}");
    let traces: std::collections::BTreeSet<_> = kept.iter().map(|(trace, _)| trace).collect();
    assert_eq!((kept.len(), traces.len()), (16, 16), "{kept:?}");
}

#[test]
fn a_message_that_a_pause_without_end_keeps_is_struck_once_wherever_it_was() {
    let lines = one_mailer("900ms", &fault("it", "pause", "at = \"20500ms\""), "");
    let row = summary(&lines, "it");
    let kept = kept(&lines, "it");
    let traces: std::collections::BTreeSet<_> = kept.iter().map(|(trace, _)| trace).collect();
    assert_eq!((traces.len(), kept.len() as u64), (kept.len(), number(row, "undone")), "{row:#}");
    assert_eq!(
        (&row["injected"], row["causes"]["groups"][0]["failed"].as_u64()),
        (&json!(55), Some(1)),
        "{row:#}"
    );
}

#[test]
fn messages_are_struck_by_the_fault_and_the_window_that_keep_them_and_by_none_before() {
    let crash = |name: &str, at: &str| fault(name, "crash", &format!("at = \"{at}\", for = \"1s\""));
    let load = "start = \"61s\"\nfor = \"5s\"";
    let both = crash("first", "10s") + &crash("second", "60s");
    let lines =
        one_mailer("20ms", &both.replace("kind = \"crash\"", "kind = \"crash\"\nrestart = \"2s\""), load);
    let (first, second) = (summary(&lines, "first"), summary(&lines, "second"));
    assert_eq!((&first["injected"], &second["injected"]), (&json!(0), &json!(5)), "{first:#} {second:#}");
    assert_eq!(number(second, "late"), 5, "{second:#}");
    let again = fault("it", "crash", "at = \"10s\", for = \"1s\", every = \"50s\"");
    let again = again.replace("kind = \"crash\"", "kind = \"crash\"\nrestart = \"2s\"");
    let lines = one_mailer("20ms", &again, load);
    // Of a crash itself, no trace is told.
    let messages = records(&lines, "firing").into_iter().filter(|line| line["trace_id"].is_string());
    let windows: Vec<_> = messages.map(|line| line["window"].as_u64()).collect();
    assert_eq!(windows, [Some(2); 5]);
}

#[test]
fn the_first_symptom_among_worlds_is_the_first_that_was_due() {
    let lines = "kind = \"down\"\ntarget = { service = \"mailer\" }\nwhen = { at = \"20s\", for = \"5s\" }";
    let topology = Topology::new("shards", with_fault(lines));
    for seed in ["1", "2", "3"] {
        let flags = [
            "--virtual",
            "--for",
            "30s",
            "--shards",
            "2",
            "--seed",
            seed,
            "--truth",
            "truth.jsonl",
            "--show",
            "none",
        ];
        topology.run(&flags).success();
        let lines = super::lines(&written(&topology));
        let row = summary(&lines, "it");
        let start = Some(visible(row).0);
        assert_eq!(row["first_symptom"]["at"].as_f64(), start, "{row:#}");
        assert_eq!(row["causes"]["groups"][0]["first_visible"]["at"].as_f64(), start, "{row:#}");
    }
}

#[test]
fn a_fault_first_strikes_when_it_first_keeps_a_message_and_not_when_somebody_has_it() {
    // A message comes each second, the first of those that are kept at 21 s; the next one gets its replica at
    // 35 s.
    for kind in ["pause", "down"] {
        let lines = one_mailer("20ms", &fault("it", kind, "at = \"20500ms\", for = \"14s\""), "");
        let row = summary(&lines, "it");
        let first = row["first_firing_at"].as_f64().expect("it strikes");
        assert!((21.0..21.1).contains(&first), "{row:#}");
        assert!(row["first_symptom"]["at"].as_f64() <= Some(first), "{row:#}");
        let firings = records(&lines, "firing");
        let kept: Vec<_> = firings.iter().filter_map(|line| line["kept_since"].as_f64()).collect();
        assert_eq!(kept.len(), 14, "{firings:?}");
        assert_eq!(kept.iter().copied().reduce(f64::min), Some(first));
        assert!(firings.iter().all(|line| line["at"].as_f64() > line["kept_since"].as_f64()), "{firings:?}");
    }
}

/// A pause of the group of the only mailer.
fn group_pause(when: &str) -> String {
    fault("pause", "consumer-pause", when).replace("service = \"mailer\"", "topic = \"orders\"")
}

/// The window of each message that a fault has kept, and from when it has: seconds. In the order of time.
fn kept_in(lines: &[Value], fault: &str) -> Vec<(u64, f64)> {
    let firings = records(lines, "firing").into_iter().filter(|line| line["fault"] == fault);
    let kept = firings.filter_map(|line| line["window"].as_u64().zip(line["kept_since"].as_f64()));
    let mut kept: Vec<_> = kept.collect();
    kept.sort_by(|one, other| one.1.total_cmp(&other.1));
    kept
}

#[test]
fn what_a_fault_has_kept_is_struck_when_the_run_ends_though_its_window_is_over() {
    let both = fault("it", "down", "at = \"20500ms\", for = \"4s\"") + &group_pause("at = \"22s\"");
    let lines = one_mailer("20ms", &both, "");
    let (down, pause) = (summary(&lines, "it"), summary(&lines, "pause"));
    // The replica has its partition again when the session of the one before has timed out.
    assert_eq!((&down["matched"], &down["injected"]), (&json!(10), &json!(10)), "{down:#}");
    let first = down["first_firing_at"].as_f64().expect("it strikes");
    assert!((21.0..21.1).contains(&first), "{down:#}");
    assert_eq!(pause["injected"], number(pause, "undone"), "{pause:#}");
    assert_eq!(pause["first_firing_at"].as_f64(), Some(22.0), "{pause:#}");
    let delays = kept(&lines, "it").into_iter().filter_map(|(_, delay)| delay);
    let longest = delays.fold(0.0, f64::max);
    assert!((9_400.0..9_500.0).contains(&longest), "{longest}");
}

/// Each window begins while the session of the replica before has not timed out, until the run ends, after
/// many more windows than are known for a partition.
#[test]
fn messages_that_many_windows_keep_are_struck_by_the_first_of_them() {
    let lines =
        one_mailer("20ms", &fault("it", "down", "at = \"20500ms\", for = \"4s\", every = \"10s\""), "");
    let row = summary(&lines, "it");
    assert!(row["windows"].as_u64() > Some(300), "{row:#}");
    let kept = kept_in(&lines, "it");
    assert_eq!((&row["injected"], kept.len() as u64), (&json!(54), number(row, "undone")), "{row:#}");
    assert_eq!(row["first_firing_at"].as_f64(), Some(kept[0].1), "{row:#}");
    for (window, since) in kept {
        let start = 10.5 + 10.0 * window as f64;
        assert!((start..start + 10.0).contains(&since), "window {window} keeps it from {since} on");
    }
}

#[test]
fn messages_that_several_pauses_of_their_group_keep_are_struck_by_the_first_of_them() {
    let lines = one_mailer("900ms", &group_pause("at = \"20500ms\", for = \"2s\", every = \"4s\""), "");
    let row = summary(&lines, "pause");
    let kept = kept_in(&lines, "pause");
    assert_eq!(row["injected"], kept.len() as u64, "{row:#}");
    // Two messages come in each pause; the others wait from the beginning of one.
    for number in 1..=10 {
        let start = 16.5 + 4.0 * number as f64;
        let in_it = kept.iter().filter(|(window, _)| *window == number).map(|(_, since)| since - start);
        let behind = in_it.filter(|since| *since > 0.1).collect::<Vec<_>>();
        assert_eq!(behind.len(), 2, "window {number}: {kept:?}");
        assert!(behind.iter().all(|since| *since < 2.0), "window {number}: {kept:?}");
    }
}

#[test]
fn a_fault_that_has_kept_nobody_waiting_has_no_first_strike() {
    let load = "start = \"61s\"\nfor = \"5s\"";
    let lines = one_mailer("20ms", &fault("it", "down", "at = \"20s\", for = \"5s\""), load);
    let row = summary(&lines, "it");
    assert_eq!((&row["first_firing_at"], &row["deaths"]), (&Value::Null, &json!(1)), "{row:#}");
}

/// A worker that was made anew computes as long as the one before, but for some nanoseconds.
#[test]
fn what_takes_some_nanoseconds_more_is_as_it_was() {
    let text = format!(
        "[topology]\nname = \"chores\"\nseed = 5\n[services.chores]\nguest = {chores:?}\nconfig.next = \"shelf\"\n\
         [services.shelf]\nguest = \"service\"\nconfig.work = \"5ms\"\n\
         [[schedules]]\nservice = \"chores\"\njob = \"sweep\"\nevery = \"1s\"\nstart = \"500ms\"\n\
         [[faults]]\nname = \"it\"\nkind = \"crash\"\nrestart = \"3s\"\ntarget = {{ service = \"shelf\" }}\n\
         when = {{ at = \"10s\", for = \"1s\" }}\n",
        chores = guest("tests/chores")
    );
    let row = told(text);
    let job = &row["causes"]["jobs"][0];
    let (impact, visible) = (&row["causes"]["impact"], &row["causes"]["visible_impact"]);
    assert_eq!((&job["changed"], &impact["start_at"]), (&json!(3), &visible["start_at"]), "{row:#}");
    assert_eq!(impact["end_at"], visible["end_at"], "{row:#}");
}
