//! Who opens and closes the windows of faults: by their schedules, by cascades, and
//! by hand.
//!
//! Windows open and close at exact instants of simulated time, before anything else
//! that happens then; at the same instant in the order of the model. A fault is
//! active while its window is open and its probability is above zero. A hand that
//! switches a fault on or off is stronger than its schedule, which goes on below
//! it, until the hand lets go.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::iter::Peekable;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};

use crate::model::{Nanos, Schedule};
use crate::sched::Sched;

use super::event::{Cause, Change, Event, Hand, Turn};
use super::schedule::{Window, Windows, drawn_length};
use super::{Faults, Rule};

/// Windows of one cascade that may be to come; with one more, the last closes later.
const CASCADE: usize = 1_000;

/// Where faults are staged that no request asks for: what the bus does when the
/// state of a replica, of records or of receivers changes.
pub trait Stage {
    fn faults(&self) -> &Faults;

    /// The rule has become active; [`Rule::window`] says for how long. Returns when
    /// it wants to be asked again meanwhile, if it does: nanoseconds since the Unix epoch.
    fn opened(&self, rule: &Rc<Rule>) -> Option<Nanos>;

    /// That instant has come, or the rule's window is another one than it was, and the
    /// rule is still active; likewise. It may also be asked when there is nothing to do.
    fn step(&self, rule: &Rc<Rule>) -> Option<Nanos>;

    /// The rule is no longer active.
    fn closed(&self, rule: &Rc<Rule>);
}

/// Opens and closes windows.
pub struct Conductor {
    stage: Rc<dyn Stage>,
    sched: Sched,
    /// By rule.
    courses: RefCell<Vec<Course>>,
    /// What is next of each rule, if it is known: instant and rule.
    agenda: RefCell<BTreeSet<(Nanos, usize)>>,
    /// The task that waits for the next.
    waiting: RefCell<Option<Waker>>,
    /// Whether a hand may come.
    attended: Cell<bool>,
}

/// Where a rule's schedule has come to.
struct Course {
    coming: Coming,
    /// The rules whose windows follow those of this one.
    followers: Vec<usize>,
    /// The window that the schedule has open.
    window: Option<Window>,
    hand: Option<bool>,
    /// When the stage is to be asked again.
    step: Option<Nanos>,
    /// Its place on the agenda.
    due: Option<Nanos>,
    /// Turns of its windows since anybody else has done anything; and steps.
    turns: u32,
    steps: u32,
}

/// Windows to come, in order.
enum Coming {
    Own(Peekable<Windows>),
    /// Of a cascade: those that follow windows of another rule.
    Following(VecDeque<Window>),
}

impl Coming {
    fn next_opens(&mut self) -> Option<Nanos> {
        match self {
            Self::Own(windows) => windows.peek().map(|window| window.opens),
            Self::Following(windows) => windows.front().map(|window| window.opens),
        }
    }

    fn next(&mut self) -> Option<Window> {
        match self {
            Self::Own(windows) => windows.next(),
            Self::Following(windows) => windows.pop_front(),
        }
    }
}

impl Course {
    /// When its schedule opens or closes the next window, if that is known.
    fn next_turn(&mut self) -> Option<Nanos> {
        let closes = self.window.and_then(|window| window.closes);
        closes.into_iter().chain(self.coming.next_opens()).min()
    }
}

impl Conductor {
    /// Opens what is open from the beginning, and sees to the rest as time passes.
    pub fn begin(stage: Rc<dyn Stage>, sched: &Sched) -> Rc<Self> {
        let start = sched.now();
        let rules = stage.faults().rules();
        let course = |rule: &Rc<Rule>| {
            let coming = match rule.when.schedule {
                Schedule::After { .. } => Coming::Following(VecDeque::new()),
                _ if rule.is_enabled() => Coming::Own(Windows::new(&rule.when, start, rule.key).peekable()),
                _ => Coming::Following(VecDeque::new()),
            };
            let followers = rules.iter().filter(|later| later.follows(rule)).map(|later| later.index);
            Course {
                coming,
                followers: followers.collect(),
                window: None,
                hand: None,
                step: None,
                due: None,
                turns: 0,
                steps: 0,
            }
        };
        let courses: Vec<_> = rules.iter().map(course).collect();
        let conductor = Rc::new(Self {
            stage,
            sched: sched.clone(),
            courses: RefCell::new(courses),
            agenda: RefCell::default(),
            waiting: RefCell::default(),
            attended: Cell::new(false),
        });
        let rules = conductor.rules().len();
        for index in 0..rules {
            conductor.enter(index);
        }
        conductor.proceed();
        if rules > 0 {
            sched.spawn_background(Rc::clone(&conductor).conduct());
        }
        conductor
    }

    /// A hand may come at any time: the world does not end before it.
    pub fn attend(&self) {
        self.attended.set(true);
        self.rouse();
    }

    /// Does what a hand does to a rule, at this instant.
    pub fn take(&self, index: usize, hand: Hand) {
        let rule = Rc::clone(&self.rules()[index]);
        match hand {
            Hand::On => self.courses.borrow_mut()[index].hand = Some(true),
            Hand::Off => self.courses.borrow_mut()[index].hand = Some(false),
            Hand::Schedule => self.courses.borrow_mut()[index].hand = None,
            Hand::Probability(probability) => rule.set_probability(probability),
        }
        let time = self.sched.now();
        self.tell(&Event::Changed(Change { rule: &rule, time, hand }));
        self.settle(&rule, Cause::Hand);
        self.enter(index);
        self.proceed();
        self.rouse();
    }

    /// All rules, in the order of the model.
    pub fn rules(&self) -> &[Rc<Rule>] {
        self.stage.faults().rules()
    }

    /// Whether a hand holds a rule as it is; otherwise its schedule decides.
    pub fn is_held(&self, index: usize) -> bool {
        self.courses.borrow()[index].hand.is_some()
    }

    /// When the rule's schedule opens or closes its next window, if that is known:
    /// nanoseconds since the Unix epoch.
    pub fn next_turn(&self, index: usize) -> Option<Nanos> {
        self.courses.borrow_mut()[index].next_turn()
    }

    /// Waits for the next turn, and takes it, until none can come.
    async fn conduct(self: Rc<Self>) {
        let mut polls = self.sched.polls();
        loop {
            let next = self.agenda.borrow().first().map(|(due, _)| *due);
            // A hand would come too late to a world that has come to a stop.
            let awaited = self.attended.get() && self.sched.is_virtual();
            let next = next.or_else(|| awaited.then_some(Nanos::MAX - 1));
            self.wait(next).await;
            self.notice(&mut polls);
            self.proceed();
            if self.sched.is_virtual() && !awaited && self.is_in_vain() {
                return;
            }
        }
    }

    /// Waits until the clock shows `due`, or something has changed before.
    async fn wait(&self, due: Option<Nanos>) {
        let mut sleep = pin!(due.map(|due| self.sched.sleep_until(due)));
        let mut roused = false;
        poll_fn(|context| {
            let is_due = sleep.as_mut().as_pin_mut().is_some_and(|sleep| sleep.poll(context).is_ready());
            if is_due || std::mem::replace(&mut roused, true) {
                return Poll::Ready(());
            }
            *self.waiting.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
        self.waiting.borrow_mut().take();
    }

    fn rouse(&self) {
        if let Some(waiting) = self.waiting.borrow_mut().take() {
            waiting.wake();
        }
    }

    /// Begins to count turns anew if anybody else has done anything since the last.
    fn notice(&self, polls: &mut u64) {
        let before = std::mem::replace(polls, self.sched.polls());
        if *polls != before || !self.sched.is_still() {
            for course in &mut *self.courses.borrow_mut() {
                (course.turns, course.steps) = (0, 0);
            }
        }
    }

    /// Whether every window that turns has opened and closed, and nobody has done
    /// anything nor waits for an instant: then nobody will, however many more turn.
    fn is_in_vain(&self) -> bool {
        let has_turned = |course: &mut Course| match (course.next_turn(), course.step) {
            (Some(_), _) => course.turns >= 2,
            (None, Some(_)) => course.steps >= 2,
            (None, None) => true,
        };
        self.sched.is_still() && self.courses.borrow_mut().iter_mut().all(has_turned)
    }

    /// Takes every turn that is due.
    fn proceed(&self) {
        let now = self.sched.now();
        loop {
            let next = self.agenda.borrow().first().copied();
            let Some((_, index)) = next.filter(|(due, _)| *due <= now) else { return };
            self.turn(index, now);
        }
    }

    /// Lets the schedule of a rule close its window, or open the next; or else lets
    /// the stage take a step within it.
    fn turn(&self, index: usize, now: Nanos) {
        let rule = Rc::clone(&self.rules()[index]);
        let is_step = {
            let course = &mut self.courses.borrow_mut()[index];
            let is_step = course.next_turn().is_none_or(|due| due > now);
            let count = if is_step { &mut course.steps } else { &mut course.turns };
            *count = count.saturating_add(1);
            is_step
        };
        if is_step {
            let step = self.stage.step(&rule);
            self.courses.borrow_mut()[index].step = step;
            return self.enter(index);
        }
        {
            let course = &mut self.courses.borrow_mut()[index];
            match &mut course.window {
                Some(window) if window.has_closed(now) => course.window = None,
                Some(window) => {
                    // Cascades overlap: the window stays open until the last is over.
                    if let Some(more) = course.coming.next() {
                        window.outlast(&more);
                    }
                }
                None => course.window = course.coming.next(),
            }
        }
        self.settle(&rule, Cause::Schedule);
        self.enter(index);
    }

    /// Enters the next turn of a rule into the agenda.
    fn enter(&self, index: usize) {
        let course = &mut self.courses.borrow_mut()[index];
        let due = course.next_turn().into_iter().chain(course.step).min().filter(|due| *due < Nanos::MAX);
        let mut agenda = self.agenda.borrow_mut();
        if let Some(before) = std::mem::replace(&mut course.due, due) {
            agenda.remove(&(before, index));
        }
        agenda.extend(due.map(|due| (due, index)));
    }

    /// Makes a rule as active as schedule, hand and chance want it.
    fn settle(&self, rule: &Rc<Rule>, cause: Cause) {
        let now = self.sched.now();
        let (window, hand) = {
            let course = &self.courses.borrow()[rule.index];
            (course.window, course.hand)
        };
        let window = match hand {
            None => window,
            Some(false) => None,
            // What is on by hand has grown in as from when it came on, and does not fade.
            Some(true) if rule.is_active() => Some(Window { closes: None, ..rule.window() }),
            Some(true) => Some(Window { opens: now, closes: None }),
        };
        match window.filter(|_| rule.has_chance()) {
            Some(window) if rule.is_active() && window == rule.window() => {}
            Some(window) if rule.is_active() => self.reset(rule, window),
            Some(window) => self.open(rule, window, cause),
            None if rule.is_active() => self.close(rule, cause),
            None => {}
        }
    }

    fn open(&self, rule: &Rc<Rule>, window: Window, cause: Cause) {
        rule.open(window);
        self.stage.faults().refresh(rule);
        let time = self.sched.now();
        self.tell(&Event::Opened(Turn { rule, time, number: rule.windows(), cause }));
        let step = self.stage.opened(rule);
        self.courses.borrow_mut()[rule.index].step = step;
        let followers = self.courses.borrow()[rule.index].followers.clone();
        for follower in followers {
            self.follow(&self.rules()[follower], time, rule.windows());
        }
    }

    /// The window of an active rule ends otherwise than was known: from now on it may
    /// have grown otherwise, and the stage may want to be asked at other instants.
    fn reset(&self, rule: &Rc<Rule>, window: Window) {
        rule.set_window(window);
        let step = self.stage.step(rule);
        self.courses.borrow_mut()[rule.index].step = step;
    }

    fn close(&self, rule: &Rc<Rule>, cause: Cause) {
        rule.close();
        self.stage.faults().refresh(rule);
        let time = self.sched.now();
        self.tell(&Event::Closed(Turn { rule, time, number: rule.windows(), cause }));
        self.stage.closed(rule);
        self.courses.borrow_mut()[rule.index].step = None;
    }

    /// The rule that this one follows has opened its window `number` at `time`. Windows come
    /// in the order of their causes: one whose delay is drawn shorter opens with the one before it.
    fn follow(&self, rule: &Rule, time: Nanos, number: u64) {
        let Schedule::After { delay, lasting, .. } = &rule.when.schedule else { return };
        let key = rule.key.with_name("after").with(number);
        let opens = time.saturating_add(delay.sample(&mut key.with(0).stream()));
        let lasting = lasting.as_ref().map(|lasting| drawn_length(lasting, key));
        if let Coming::Following(coming) = &mut self.courses.borrow_mut()[rule.index].coming {
            let is_full = coming.len() >= CASCADE;
            let window = Window::lasting(coming.back().map_or(opens, |last| opens.max(last.opens)), lasting);
            match coming.back_mut().filter(|_| is_full) {
                Some(last) => last.outlast(&window),
                None => coming.push_back(window),
            }
        }
        self.enter(rule.index);
    }

    fn tell(&self, event: &Event<'_>) {
        self.stage.faults().ledger.tell(event);
    }
}

impl fmt::Debug for Conductor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conductor").field("agenda", &self.agenda).finish_non_exhaustive()
    }
}
