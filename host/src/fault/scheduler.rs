//! Who opens and closes the windows of faults: by their schedules, by cascades, and
//! by hand.
//!
//! Windows open and close at exact instants of simulated time, before anything else
//! that happens then; at the same instant in the order of the model. A fault is
//! active while its window is open and its probability is above zero. A change by hand
//! overrides the schedule, which goes on meanwhile, until the fault is given back to it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::iter::Peekable;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};

use crate::model::{Nanos, Schedule};
use crate::sched::{LAST_INSTANT, NEVER, Sched};

use super::event::{Cause, Event, FaultChange, ManualChange, WindowChange};
use super::schedule::{Window, Windows, drawn_length};
use super::{Faults, Rule};

/// Windows of one cascade that may be to come; with one more, the last closes later.
const CASCADE: usize = 1_000;

/// What the bus does when windows open and close: it changes the state of replicas, of
/// records and of receivers, which no request asks for.
pub trait WindowHandler {
    fn faults(&self) -> &Faults;

    /// The rule has become active; [`Rule::window`] says for how long. Returns when
    /// it wants to be asked again meanwhile, if it does: nanoseconds since the Unix epoch.
    fn opened(&self, rule: &Rc<Rule>) -> Option<Nanos>;

    /// That instant has come, or the rule's window is another one than it was, and the
    /// rule is still active. Returns when it wants to be asked again. It may also be asked
    /// when there is nothing to do.
    fn step(&self, rule: &Rc<Rule>) -> Option<Nanos>;

    /// The rule is no longer active.
    fn closed(&self, rule: &Rc<Rule>);

    /// Messages that it keeps from who consumes them, or has, and that it has not counted yet.
    fn kept(&self, rule: &Rule) -> u64;
}

/// Opens and closes windows.
pub struct FaultScheduler {
    handler: Rc<dyn WindowHandler>,
    sched: Sched,
    /// By rule.
    schedules: RefCell<Vec<RuleSchedule>>,
    /// What is next of each rule, if it is known: instant and rule.
    agenda: RefCell<BTreeSet<(Nanos, usize)>>,
    /// The task that waits for the next.
    waiting: RefCell<Option<Waker>>,
    /// Whether rules may be changed by hand.
    may_change: Cell<bool>,
}

/// Where a rule's schedule has come to.
struct RuleSchedule {
    coming: NextWindows,
    /// The rules whose windows follow those of this one.
    followers: Vec<usize>,
    /// The window that the schedule has open.
    window: Option<Window>,
    /// Whether it is on or off by hand, whatever the schedule says.
    manual: Option<bool>,
    /// When the handler is to be asked again.
    step: Option<Nanos>,
    /// Its place on the agenda.
    due: Option<Nanos>,
    /// Turns of its windows since anybody else has done anything; and steps.
    turns: u32,
    steps: u32,
}

/// Windows to come, in order.
enum NextWindows {
    Own(Peekable<Windows>),
    /// Of a cascade: those that follow windows of another rule.
    Following(VecDeque<Window>),
}

impl NextWindows {
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

impl RuleSchedule {
    /// When its schedule opens or closes the next window, if that is known.
    fn next_turn(&mut self) -> Option<Nanos> {
        let closes = self.window.and_then(|window| window.closes);
        closes.into_iter().chain(self.coming.next_opens()).min()
    }
}

impl FaultScheduler {
    /// Opens what is open from the beginning, and sees to the rest as time passes.
    pub fn begin(handler: Rc<dyn WindowHandler>, sched: &Sched) -> Rc<Self> {
        let start = sched.now();
        let rules = handler.faults().rules();
        let schedule = |rule: &Rc<Rule>| {
            let coming = match rule.when.schedule {
                Schedule::After { .. } => NextWindows::Following(VecDeque::new()),
                _ if rule.is_enabled() => {
                    NextWindows::Own(Windows::new(&rule.when, start, rule.key).peekable())
                }
                _ => NextWindows::Following(VecDeque::new()),
            };
            let followers = rules.iter().filter(|later| later.follows(rule)).map(|later| later.index);
            RuleSchedule {
                coming,
                followers: followers.collect(),
                window: None,
                manual: None,
                step: None,
                due: None,
                turns: 0,
                steps: 0,
            }
        };
        let schedules: Vec<_> = rules.iter().map(schedule).collect();
        let scheduler = Rc::new(Self {
            handler,
            sched: sched.clone(),
            schedules: RefCell::new(schedules),
            agenda: RefCell::default(),
            waiting: RefCell::default(),
            may_change: Cell::new(false),
        });
        let rules = scheduler.rules().len();
        for index in 0..rules {
            scheduler.enter(index);
        }
        scheduler.proceed();
        if rules > 0 {
            sched.spawn_background(Rc::clone(&scheduler).run());
        }
        scheduler
    }

    /// Rules may be changed by hand at any time: the world does not end before that.
    pub fn allow_changes(&self) {
        self.may_change.set(true);
        self.rouse();
    }

    /// Changes a rule by hand, at this instant.
    pub fn change(&self, index: usize, change: ManualChange) {
        let rule = Rc::clone(&self.rules()[index]);
        match change {
            ManualChange::On => self.schedules.borrow_mut()[index].manual = Some(true),
            ManualChange::Off => self.schedules.borrow_mut()[index].manual = Some(false),
            ManualChange::Schedule => self.schedules.borrow_mut()[index].manual = None,
            ManualChange::Probability(probability) => rule.set_probability(probability),
        }
        let time = self.sched.now();
        self.tell(&Event::Changed(FaultChange { rule: &rule, time, what: change }));
        self.settle(&rule, Cause::Manual);
        self.enter(index);
        self.proceed();
        self.rouse();
    }

    /// All rules, in the order of the model.
    pub fn rules(&self) -> &[Rc<Rule>] {
        self.handler.faults().rules()
    }

    /// Messages that a rule keeps from who consumes them, or has, and that it has not counted yet.
    pub fn kept(&self, rule: &Rule) -> u64 {
        self.handler.kept(rule)
    }

    /// Whether a rule is on or off by hand; otherwise its schedule decides.
    pub fn is_manual(&self, index: usize) -> bool {
        self.schedules.borrow()[index].manual.is_some()
    }

    /// When the rule's schedule opens or closes its next window, if that is known:
    /// nanoseconds since the Unix epoch.
    pub fn next_turn(&self, index: usize) -> Option<Nanos> {
        self.schedules.borrow_mut()[index].next_turn()
    }

    /// Waits for the next turn, and takes it, until none can come.
    async fn run(self: Rc<Self>) {
        let mut polls = self.sched.polls();
        loop {
            let next = self.agenda.borrow().first().map(|(due, _)| *due);
            // A change would come too late to a world that has come to a stop.
            let awaited = self.may_change.get() && self.sched.is_virtual();
            let next = next.or_else(|| awaited.then_some(LAST_INSTANT));
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
            for schedule in &mut *self.schedules.borrow_mut() {
                (schedule.turns, schedule.steps) = (0, 0);
            }
        }
    }

    /// Whether every window that turns has opened and closed, and nobody has done
    /// anything nor waits for an instant: then nobody will, however many more turn.
    fn is_in_vain(&self) -> bool {
        let has_turned = |schedule: &mut RuleSchedule| match (schedule.next_turn(), schedule.step) {
            (Some(_), _) => schedule.turns >= 2,
            (None, Some(_)) => schedule.steps >= 2,
            (None, None) => true,
        };
        self.sched.is_still() && self.schedules.borrow_mut().iter_mut().all(has_turned)
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
    /// the handler take a step within it.
    fn turn(&self, index: usize, now: Nanos) {
        let rule = Rc::clone(&self.rules()[index]);
        let is_step = {
            let schedule = &mut self.schedules.borrow_mut()[index];
            let is_step = schedule.next_turn().is_none_or(|due| due > now);
            let count = if is_step { &mut schedule.steps } else { &mut schedule.turns };
            *count = count.saturating_add(1);
            is_step
        };
        if is_step {
            let step = self.handler.step(&rule);
            self.schedules.borrow_mut()[index].step = step;
            return self.enter(index);
        }
        {
            let schedule = &mut self.schedules.borrow_mut()[index];
            match &mut schedule.window {
                Some(window) if window.has_closed(now) => schedule.window = None,
                Some(window) => {
                    // Cascades overlap: the window stays open until the last is over.
                    if let Some(more) = schedule.coming.next() {
                        window.outlast(&more);
                    }
                }
                None => schedule.window = schedule.coming.next(),
            }
        }
        self.settle(&rule, Cause::Schedule);
        self.enter(index);
    }

    /// Enters the next turn of a rule into the agenda.
    fn enter(&self, index: usize) {
        let schedule = &mut self.schedules.borrow_mut()[index];
        let due = schedule.next_turn().into_iter().chain(schedule.step).min().filter(|due| *due < NEVER);
        let mut agenda = self.agenda.borrow_mut();
        if let Some(before) = std::mem::replace(&mut schedule.due, due) {
            agenda.remove(&(before, index));
        }
        agenda.extend(due.map(|due| (due, index)));
    }

    /// Makes a rule as active as its schedule, changes by hand and its chance have it.
    fn settle(&self, rule: &Rc<Rule>, cause: Cause) {
        let now = self.sched.now();
        let (window, manual) = {
            let schedule = &self.schedules.borrow()[rule.index];
            (schedule.window, schedule.manual)
        };
        let window = match manual {
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
        self.handler.faults().refresh(rule);
        let time = self.sched.now();
        self.tell(&Event::Opened(WindowChange { rule, time, number: rule.windows(), cause }));
        let step = self.handler.opened(rule);
        self.schedules.borrow_mut()[rule.index].step = step;
        let followers = self.schedules.borrow()[rule.index].followers.clone();
        for follower in followers {
            self.follow(&self.rules()[follower], time, rule.windows());
        }
    }

    /// The window of an active rule ends otherwise than was known: from now on it may
    /// have grown otherwise, and the handler may want to be asked at other instants.
    fn reset(&self, rule: &Rc<Rule>, window: Window) {
        rule.set_window(window);
        let step = self.handler.step(rule);
        self.schedules.borrow_mut()[rule.index].step = step;
    }

    fn close(&self, rule: &Rc<Rule>, cause: Cause) {
        rule.close();
        self.handler.faults().refresh(rule);
        let time = self.sched.now();
        self.tell(&Event::Closed(WindowChange { rule, time, number: rule.windows(), cause }));
        self.handler.closed(rule);
        self.schedules.borrow_mut()[rule.index].step = None;
    }

    /// The rule that this one follows has opened its window `number` at `time`. Windows come
    /// in the order of their causes: one whose delay is drawn shorter opens with the one before it.
    fn follow(&self, rule: &Rule, time: Nanos, number: u64) {
        let Schedule::After { delay, lasting, .. } = &rule.when.schedule else { return };
        let key = rule.key.with_name("after").with(number);
        let opens = time.saturating_add(delay.sample(&mut key.with(0).stream()));
        let lasting = lasting.as_ref().map(|lasting| drawn_length(lasting, key));
        if let NextWindows::Following(coming) = &mut self.schedules.borrow_mut()[rule.index].coming {
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
        self.handler.faults().ledger.tell(event);
    }
}

impl fmt::Debug for FaultScheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultScheduler").field("agenda", &self.agenda).finish_non_exhaustive()
    }
}
