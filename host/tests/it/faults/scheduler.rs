//! Who opens and closes windows, by itself: without a bus, and with every event
//! that it tells.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::task::{Poll, Waker};

use simhost::clock::{Clock, VIRTUAL_START};
use simhost::fault::{Cause, Event, FaultScheduler, Faults, Ledger, ManualChange, Rule, WindowHandler};
use simhost::model::Nanos;
use simhost::sched::{Halt, Sched};
use simhost::topology;

const SECOND: Nanos = 1_000_000_000;

/// What happened, a line each.
type Lines = Rc<RefCell<Vec<String>>>;

/// A stage that notes what is played on it.
struct Notes {
    faults: Faults,
    played: Lines,
    /// Who waits for the next turn of what is slow.
    audience: Rc<RefCell<Option<Waker>>>,
    sched: Sched,
}

impl Notes {
    fn note(&self, line: String) {
        let waiting = if line.starts_with("slow") { self.audience.take() } else { None };
        self.played.borrow_mut().push(line);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

impl WindowHandler for Notes {
    fn faults(&self) -> &Faults {
        &self.faults
    }

    fn opened(&self, rule: &Rc<Rule>) -> Option<Nanos> {
        self.note(format!("{} plays", rule.name));
        self.step(rule)
    }

    /// What is slow is looked after every second, and what fades a second before its end.
    fn step(&self, rule: &Rc<Rule>) -> Option<Nanos> {
        match &*rule.name {
            "slow" => Some(self.sched.now() + SECOND),
            "fading" => {
                let fades = rule.window().closes? - SECOND;
                if self.sched.now() < fades {
                    return Some(fades);
                }
                self.note(format!("fading fades at {}s", (self.sched.now() - VIRTUAL_START) / SECOND));
                None
            }
            _ => None,
        }
    }

    fn closed(&self, rule: &Rc<Rule>) {
        self.note(format!("{} ends", rule.name));
    }

    fn kept(&self, _: &Rule) -> u64 {
        0
    }
}

struct Theatre {
    sched: Sched,
    scheduler: Rc<FaultScheduler>,
    told: Lines,
    played: Lines,
    audience: Rc<RefCell<Option<Waker>>>,
}

fn line(event: &Event<'_>) -> String {
    let at = |time: Nanos| (time - VIRTUAL_START) as f64 / SECOND as f64;
    let by = |cause: Cause| if cause == Cause::Manual { " by hand" } else { "" };
    match event {
        Event::Opened(turn) => {
            format!("{}s {} opens #{}{}", at(turn.time), turn.rule.name, turn.number, by(turn.cause))
        }
        Event::Closed(turn) => {
            format!("{}s {} closes #{}{}", at(turn.time), turn.rule.name, turn.number, by(turn.cause))
        }
        Event::Changed(change) => format!("{}s {} {:?}", at(change.time), change.rule.name, change.what),
        other => format!("{other:?}"),
    }
}

/// Faults of these names, with these further lines each.
fn theatre(faults: &[(&str, &str)]) -> Theatre {
    let mut text = "[topology]\nname = \"tests\"\n[services.front]\nguest = \"service\"\n".to_owned();
    for (name, more) in faults {
        text.push_str(&format!(
            "[[faults]]\nname = \"{name}\"\nkind = \"error\"\nstatus = 500\ntarget = {{ service = \"front\" }}\n{more}\n"
        ));
    }
    let topology = topology::parse("tests.toml", &text, Path::new("."), &["service"]).expect("a topology");
    let told = Lines::default();
    let listener = Rc::clone(&told);
    let ledger = Ledger::new(move |event| listener.borrow_mut().push(line(event)));
    let faults = Faults::new(&topology.model, |_, _| None, |_| 0, Rc::new(ledger));
    let sched = Sched::new(Clock::virtual_from(VIRTUAL_START));
    let played = Lines::default();
    let audience = Rc::default();
    let stage = Rc::new(Notes {
        faults,
        played: Rc::clone(&played),
        audience: Rc::clone(&audience),
        sched: sched.clone(),
    });
    let scheduler = FaultScheduler::begin(stage, &sched);
    Theatre { sched, scheduler, told, played, audience }
}

impl Theatre {
    /// Lets a number of seconds pass.
    fn pass(&self, seconds: u64) {
        self.sched.block_on(self.sched.sleep(seconds * SECOND), || {}).expect("time passes");
    }

    /// What was told since the last look.
    fn told(&self) -> Vec<String> {
        self.told.take()
    }
}

#[test]
fn windows_are_told_at_their_instants_and_in_the_order_of_the_file() {
    let theatre = theatre(&[
        ("late", "when = { at = \"2s\", for = \"1s\" }"),
        ("always", ""),
        ("twice", "when = { for = \"1s\", every = \"2s\" }"),
        ("off", "enabled = false"),
        ("never", "probability = 0.0"),
        ("last", "when = { at = \"3s\" }"),
    ]);
    // What is open from the beginning is so before anything happens.
    assert_eq!(theatre.told(), ["0s always opens #1", "0s twice opens #1"]);
    theatre.pass(3);
    let told = ["1s twice closes #1", "2s late opens #1", "2s twice opens #2", "3s late closes #1"];
    assert_eq!(theatre.told(), [&told[..], &["3s twice closes #2", "3s last opens #1"]].concat());
    let played = theatre.played.take();
    assert_eq!(played[..4], ["always plays", "twice plays", "twice ends", "late plays"]);
}

#[test]
fn windows_without_a_gap_are_windows_each() {
    let theatre = theatre(&[("on", "when = { for = \"1s\", every = \"1s\" }")]);
    theatre.pass(1);
    assert_eq!(theatre.told(), ["0s on opens #1", "1s on closes #1", "1s on opens #2"]);
}

#[test]
fn a_hand_is_stronger_than_the_schedule_until_it_lets_go() {
    let theatre = theatre(&[
        ("on", "when = { at = \"1s\", for = \"2s\", every = \"4s\" }"),
        ("after", "when = { after = \"on\", delay = \"1s\", for = \"1s\" }"),
        ("off", "enabled = false"),
    ]);
    theatre.scheduler.change(0, ManualChange::On);
    assert_eq!(theatre.told(), ["0s on On", "0s on opens #1 by hand"]);
    theatre.pass(4);
    assert_eq!(theatre.told(), ["1s after opens #1", "2s after closes #1"]);
    theatre.scheduler.change(0, ManualChange::Off);
    assert_eq!(theatre.told(), ["4s on Off", "4s on closes #1 by hand"]);
    theatre.pass(2);
    assert_eq!(theatre.told(), [""; 0]);
    // At six seconds the schedule has the window open that began at five.
    theatre.scheduler.change(0, ManualChange::Schedule);
    assert_eq!(theatre.told(), ["6s on Schedule", "6s on opens #2 by hand"]);
    theatre.pass(1);
    assert_eq!(theatre.told(), ["7s on closes #2", "7s after opens #2"]);
    // One that the file has disabled has no schedule, and can be switched.
    theatre.scheduler.change(2, ManualChange::Schedule);
    theatre.scheduler.change(2, ManualChange::On);
    theatre.scheduler.change(2, ManualChange::On);
    assert_eq!(theatre.told(), ["7s off Schedule", "7s off On", "7s off opens #1 by hand", "7s off On"]);
    theatre.scheduler.change(2, ManualChange::Schedule);
    assert_eq!(theatre.told(), ["7s off Schedule", "7s off closes #1 by hand"]);
}

/// What is on by hand has no end, and so nothing to be done before it.
#[test]
fn what_a_hand_lets_go_of_fades_as_its_schedule_has_it() {
    let theatre = theatre(&[("fading", "when = { at = \"1s\", for = \"9s\" }")]);
    theatre.scheduler.change(0, ManualChange::On);
    theatre.pass(2);
    theatre.scheduler.change(0, ManualChange::Schedule);
    theatre.pass(9);
    assert_eq!(theatre.played.take(), ["fading plays", "fading fades at 9s", "fading ends"]);
    assert_eq!(theatre.scheduler.rules()[0].windows(), 1);
}

#[test]
fn without_a_chance_a_fault_is_not_active_whatever_else_is_wanted() {
    let theatre = theatre(&[("rare", "probability = 0.0\nwhen = { at = \"1s\", for = \"2s\" }")]);
    theatre.scheduler.change(0, ManualChange::On);
    theatre.pass(2);
    assert_eq!(theatre.told(), ["0s rare On"]);
    theatre.scheduler.change(0, ManualChange::Probability(0.5));
    assert_eq!(theatre.told(), ["2s rare Probability(0.5)", "2s rare opens #1 by hand"]);
    theatre.scheduler.change(0, ManualChange::Probability(0.25));
    theatre.scheduler.change(0, ManualChange::Probability(0.0));
    let told = ["2s rare Probability(0.25)", "2s rare Probability(0.0)", "2s rare closes #1 by hand"];
    assert_eq!(theatre.told(), told);
}

#[test]
fn windows_to_come_do_not_hide_that_a_world_has_come_to_a_stop() {
    let calm = "when = { between = \"7s\", hold = \"3s\" }";
    let theatre = theatre(&[
        ("on", "when = { at = \"1s\", for = \"1s\", every = \"2s\" }"),
        ("slow", "when = { at = \"1h\", for = \"1h\", every = \"3h\" }"),
        ("incident", calm),
        ("once", "when = { at = \"1s\" }"),
    ]);
    theatre.sched.spawn(std::future::pending());
    assert_eq!(theatre.sched.block_on(theatre.sched.drained(), || {}), Err(Halt::Stalled));
    // Each has opened and closed once more by then: what waits for any of them would have gone on.
    let told = theatre.told();
    assert!(told.contains(&"7200s slow closes #1".to_owned()), "{:?}", told.last());
    assert_eq!(theatre.sched.now(), VIRTUAL_START + 7_200 * SECOND);
}

#[test]
fn who_waits_for_a_window_to_close_is_no_stopped_world() {
    let theatre = theatre(&[
        ("fast", "when = { for = \"1ms\", every = \"2ms\" }"),
        ("slow", "when = { for = \"10s\", every = \"20s\" }"),
    ]);
    // It goes on when the slow one has turned six times, and has no timer of its own.
    let Theatre { sched, played, audience, .. } = theatre;
    let turns = Rc::clone(&played);
    sched.spawn(std::future::poll_fn(move |context| {
        *audience.borrow_mut() = Some(context.waker().clone());
        let slow = turns.borrow().iter().filter(|line| line.starts_with("slow")).count();
        if slow >= 6 { Poll::Ready(()) } else { Poll::Pending }
    }));
    sched.block_on(sched.drained(), || {}).expect("it goes on");
    assert_eq!(sched.now(), VIRTUAL_START + 50 * SECOND);
}

#[test]
fn a_cascade_that_piles_up_is_bounded() {
    let theatre = theatre(&[
        ("often", "when = { for = \"1ms\", every = \"2ms\" }"),
        ("later", "when = { after = \"often\", delay = \"10s\", for = \"1ms\" }"),
    ]);
    theatre.pass(20);
    let told = theatre.told();
    let of_later = told.iter().filter(|line| line.contains("later opens")).count();
    // A thousand wait; the last of them has taken in what came when there were so many.
    assert_eq!(of_later, 1_000);
}
