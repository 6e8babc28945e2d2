//! Faults on the way between caller and callee: of connections, links and messages.
//!
//! [`Faults::passage`] decides once for each attempt, before the request leaves. Each
//! message is asked for by itself: a link that loses every tenth message loses
//! requests and responses. The bus carries out what comes of it as the messages go
//! their ways. A rule that has struck counts when its effect has come: what another
//! rule leaves nothing to do for, such as a response to be spoilt that never comes, is
//! overridden.

use std::cell::RefCell;
use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::message::{Request, Response};
use crate::model::{FaultKind, Moment, Nanos, ServiceId, Spoil, Way};
use crate::rng::Unit;

use super::ledger::{Drawn, Firing, Ledger, Site, Suppression};
use super::signs::shown_by;
use super::{Faults, Point, Rule, Strike, Subject, edit};

/// What befalls one attempt on its way. Keep it until the attempt is over.
#[derive(Debug)]
pub struct Passage {
    site: Site,
    ledger: Rc<Ledger>,
    there: Vec<Effect>,
    back: Vec<Effect>,
    /// How the request's way ends, if not at the callee.
    pub end: Option<End>,
    /// So much longer the request is on its way: nanoseconds.
    pub delay: Nanos,
    /// The request arrives twice.
    pub doubles: bool,
    /// What becomes of its `traceparent`.
    pub spoils: Option<Spoil>,
    /// Its `traceparent` says that the trace is not sampled.
    pub unsamples: bool,
}

/// How a message's way ends that does not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nobody ever hears of it.
    Lost,
    /// The connection is broken.
    Reset,
    /// There never was a connection.
    Refused,
}

/// A rule that has struck one message.
#[derive(Debug)]
struct Effect {
    rule: Rc<Rule>,
    strike: Strike,
    delay: Nanos,
    end: Option<End>,
    /// Its effect has come.
    told: bool,
    /// Why not, otherwise.
    why: Suppression,
}

impl Drop for Effect {
    fn drop(&mut self) {
        if !self.told {
            self.rule.spare(self.why);
        }
    }
}

/// When the links of a rule are free again, by caller and whether it is the way back.
#[derive(Debug, Default)]
pub struct Lanes(RefCell<FxHashMap<(Option<ServiceId>, bool), Nanos>>);

impl Lanes {
    /// Lets a message onto a link behind those before it, which takes it `time`: how
    /// long that is in all.
    fn take(&self, lane: (Option<ServiceId>, bool), time: Nanos, now: Nanos) -> Nanos {
        let mut lanes = self.0.borrow_mut();
        let free = lanes.entry(lane).or_default();
        *free = (*free).max(now).saturating_add(time);
        *free - now
    }
}

/// The parts of a message that faults look at.
struct Message<'a> {
    is_response: bool,
    /// Bytes of it on the wire.
    size: u64,
    content: Option<edit::Content<'a>>,
}

impl Faults {
    /// What befalls an attempt that is about to leave; mostly nothing.
    pub fn passage(&self, subject: &Subject<'_>, now: Nanos) -> Option<Passage> {
        let rules = self.at(Point::Passage, subject.service, subject.route)?;
        let there = struck(&rules, subject, Way::Request, now);
        // What does not arrive is not answered.
        let back = match first_end(&there) {
            Some(_) => Vec::new(),
            None => struck(&rules, subject, Way::Response, now),
        };
        if there.is_empty() && back.is_empty() {
            return None;
        }
        let (site, ledger) = (subject.site(), Rc::clone(&self.ledger));
        let (end, delay, doubles, spoils, unsamples) = (None, 0, false, None, false);
        Some(Passage { site, ledger, there, back, end, delay, doubles, spoils, unsamples })
    }
}

/// The rules that strike the message of this way.
fn struck(rules: &[Rc<Rule>], subject: &Subject<'_>, way: Way, now: Nanos) -> Vec<Effect> {
    let mut subject = subject.clone();
    if way == Way::Response {
        subject.dice = subject.dice.with(1);
    }
    let on_this_way = rules.iter().filter(|rule| is_on(&rule.kind, way));
    let effects = on_this_way.filter_map(|rule| Some(Effect::new(rule, rule.strike(&subject, now)?, way)));
    effects.collect()
}

/// Whether a fault strikes the messages of this way.
const fn is_on(kind: &FaultKind, way: Way) -> bool {
    let (FaultKind::Reset { on }
    | FaultKind::Corrupt { on, .. }
    | FaultKind::Mutate { on, .. }
    | FaultKind::Partition { on }
    | FaultKind::Loss { on, .. }) = kind
    else {
        return match kind {
            FaultKind::Latency { on: Moment::Response, .. } => matches!(way, Way::Response),
            FaultKind::Bandwidth { .. } | FaultKind::Jitter { .. } => true,
            _ => matches!(way, Way::Request),
        };
    };
    matches!((on, way), (Way::Both, _) | (Way::Request, Way::Request) | (Way::Response, Way::Response))
}

fn first_end(effects: &[Effect]) -> Option<(usize, End)> {
    effects.iter().enumerate().find_map(|(index, effect)| Some((index, effect.end?)))
}

impl Effect {
    fn new(rule: &Rc<Rule>, strike: Strike, way: Way) -> Self {
        let (delay, end) = match &rule.kind {
            FaultKind::Latency { delay, .. } | FaultKind::Jitter { delay } => {
                (strike.scale(delay.sample(&mut strike.dice.stream())), None)
            }
            FaultKind::Loss { retransmit, attempts, .. } => {
                lost(rule.probability() * strike.strength, &strike, *retransmit, *attempts)
            }
            FaultKind::Reset { .. } => (0, Some(End::Reset)),
            FaultKind::Refuse => (0, Some(End::Refused)),
            FaultKind::Blackhole => (0, Some(End::Lost)),
            FaultKind::Partition { .. } => (0, Some(End::Lost)),
            _ => (0, None),
        };
        debug_assert!(way == Way::Request || end != Some(End::Refused), "who is there has not refused");
        Self { rule: Rc::clone(rule), strike, delay, end, told: false, why: Suppression::Overridden }
    }
}

/// How long a message takes that was lost once, and whether it is given up: it is sent
/// again after a time that doubles, as TCP does (RFC 6298), and may be lost again.
fn lost(rate: f64, strike: &Strike, retransmit: Nanos, attempts: u32) -> (Nanos, Option<End>) {
    let (mut delay, mut stream): (Nanos, _) = (0, strike.dice.stream());
    for attempt in 0..attempts {
        delay = delay.saturating_add(retransmit.saturating_mul(1 << attempt.min(62)));
        if attempt + 1 < attempts && stream.unit() >= rate {
            return (delay, None);
        }
    }
    (delay, Some(End::Reset))
}

impl Passage {
    /// The request leaves: from here on it is known what becomes of it.
    pub fn depart(&mut self, request: &mut Request, now: Nanos) {
        let head = request.method.len() + request.target.len() + "  HTTP/1.1\r\n\r\n".len();
        let size = (head + request.headers.size() + request.body.len()) as u64;
        let content = edit::Content { headers: &mut request.headers, body: &mut request.body };
        let message = Message { is_response: false, size, content: Some(content) };
        let mut effects = std::mem::take(&mut self.there);
        (self.delay, self.end) = self.go(&mut effects, message, now);
        self.there = effects;
    }

    /// The response leaves, or what stands for it: how much longer its way takes, and
    /// how it ends if not at the caller.
    pub fn come_back(&mut self, response: Option<&mut Response>, now: Nanos) -> (Nanos, Option<End>) {
        let head = "HTTP/1.1 200 OK\r\n\r\n".len();
        let size =
            response.as_ref().map_or(0, |response| head + response.headers.size() + response.body.len());
        let content = response
            .map(|response| edit::Content { headers: &mut response.headers, body: &mut response.body });
        let message = Message { is_response: true, size: size as u64, content };
        let mut effects = std::mem::take(&mut self.back);
        let outcome = self.go(&mut effects, message, now);
        self.back = effects;
        outcome
    }

    /// Lets the effects come: delays add up, then the first end counts. Of a message
    /// that is lost nothing else is to be seen.
    fn go(&mut self, effects: &mut [Effect], mut message: Message<'_>, now: Nanos) -> (Nanos, Option<End>) {
        let first = first_end(effects);
        let is_lost = matches!(first, Some((_, End::Lost)));
        let mut delay: Nanos = 0;
        for (index, effect) in effects.iter_mut().enumerate() {
            let ends = first.is_some_and(|(first, _)| first == index);
            let drawn = match &effect.rule.kind {
                _ if is_lost && !ends => None,
                FaultKind::Latency { .. } | FaultKind::Jitter { .. } | FaultKind::Loss { .. } => {
                    Some(Drawn::Delay(effect.delay))
                }
                FaultKind::Bandwidth { bytes_per_second } => {
                    Some(Drawn::Delay(self.queue(effect, *bytes_per_second, &message, now)))
                }
                _ if effect.end.is_some() => ends.then_some(Drawn::Nothing),
                _ if first.is_some() => None,
                _ => self.alter(effect, &mut message),
            };
            if let Some(Drawn::Delay(more)) = drawn {
                delay = delay.saturating_add(more);
            }
            if let Some(drawn) = drawn {
                effect.told = true;
                let way = if message.is_response { Way::Response } else { Way::Request };
                let signs = self.site.spans.of(shown_by(&effect.rule.kind, way));
                let firing = Firing::at(&effect.rule, &self.site, effect.strike.window, now, drawn);
                self.ledger.fired(Firing { signs, ..firing });
            }
        }
        (delay, first.map(|(_, end)| end))
    }

    /// How long a message takes over a narrow link, with its wait for those before it.
    fn queue(&self, effect: &Effect, bytes_per_second: u64, message: &Message<'_>, now: Nanos) -> Nanos {
        let time = u128::from(message.size) * 1_000_000_000 / u128::from(bytes_per_second.max(1));
        let time = effect.strike.scale(Nanos::try_from(time).unwrap_or(Nanos::MAX));
        effect.rule.lanes.take((self.site.from, message.is_response), time, now)
    }

    /// What a fault does to a message that arrives.
    fn alter(&mut self, effect: &mut Effect, message: &mut Message<'_>) -> Option<Drawn> {
        let content = &mut message.content;
        let altered = match &effect.rule.kind {
            FaultKind::Corrupt { share, .. } => {
                let content = content.as_mut().ok_or(Suppression::NoBody);
                content.and_then(|content| content.corrupt(*share, effect.strike.dice).map(Drawn::Bytes))
            }
            FaultKind::Mutate { set, .. } => {
                let content = content.as_mut().ok_or(Suppression::NotJson);
                content.and_then(|content| content.mutate(set).map(|()| Drawn::Nothing))
            }
            FaultKind::Duplicate if !std::mem::replace(&mut self.doubles, true) => Ok(Drawn::Nothing),
            FaultKind::DropContext { how } if self.spoils.is_none() => {
                self.spoils = Some(*how);
                Ok(Drawn::Nothing)
            }
            FaultKind::Unsample if !std::mem::replace(&mut self.unsamples, true) => Ok(Drawn::Nothing),
            _ => Err(Suppression::Overridden),
        };
        altered.map_err(|why| effect.why = why).ok()
    }
}
