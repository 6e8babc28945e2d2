//! Faults between caller and callee: of connections, links and messages.
//!
//! [`Faults::network`] decides once for each attempt, before the request leaves. Each
//! message is asked for by itself: a link that loses every tenth message loses
//! requests and responses. The bus carries out what comes of it as the messages go
//! their ways. A rule that has struck counts when its effect has come: what another
//! rule leaves nothing to do for, such as a response to be corrupted that never comes, is
//! overridden.

use std::cell::RefCell;
use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::message::{Request, Response};
use crate::model::{ContextDamage, Direction, Distribution, Nanos, NetworkFault, ServiceId};
use crate::rng::Unit;

use super::account::Suppression;
use super::candidate::Candidate;
use super::edit;
use super::event::{Drawn, Firing, Site};
use super::ledger::Ledger;
use super::rule::{Rule, Strike};
use super::signs::Side;
use super::{Action, Faults, Point};

/// What a rule does to messages of a direction.
#[derive(Debug)]
pub struct NetworkAction {
    on: Direction,
    act: Act,
}

/// What is done to one message.
#[derive(Debug)]
enum Act {
    Delay(Distribution),
    /// Lost, and sent again after a time that doubles.
    Resend {
        retransmit: Nanos,
        attempts: u32,
    },
    /// It does not arrive.
    End(End),
    /// One message after the other.
    Queue(Lanes),
    Corrupt {
        share: f64,
    },
    Mutate {
        set: Vec<(String, serde_json::Value)>,
    },
    Duplicate,
    DamageContext(ContextDamage),
    Unsample,
}

impl NetworkAction {
    pub fn of(fault: &NetworkFault) -> Self {
        use Direction::{Both, Request};
        let (on, act) = match fault {
            NetworkFault::Latency { delay, on } => (*on, Act::Delay(delay.clone())),
            NetworkFault::Jitter { delay } => (Both, Act::Delay(delay.clone())),
            NetworkFault::Loss { on, retransmit, attempts } => {
                (*on, Act::Resend { retransmit: *retransmit, attempts: *attempts })
            }
            NetworkFault::Reset { on } => (*on, Act::End(End::Reset)),
            NetworkFault::Refuse => (Request, Act::End(End::Refused)),
            NetworkFault::Blackhole => (Request, Act::End(End::Lost)),
            NetworkFault::Partition { on } => (*on, Act::End(End::Lost)),
            NetworkFault::Bandwidth { bytes_per_second } => (Both, Act::Queue(Lanes::of(*bytes_per_second))),
            NetworkFault::Corrupt { on, share } => (*on, Act::Corrupt { share: *share }),
            NetworkFault::Mutate { on, set } => (*on, Act::Mutate { set: set.clone() }),
            NetworkFault::Duplicate => (Request, Act::Duplicate),
            NetworkFault::DropContext { how } => (Request, Act::DamageContext(*how)),
            NetworkFault::Unsample => (Request, Act::Unsample),
        };
        Self { on, act }
    }

    /// The spans that show what it does to a message of this direction, the best first.
    pub const fn signs(&self, direction: Direction) -> &'static [Side] {
        match self.act {
            // What happens between two services, the waiting caller sees.
            Act::Delay(_) | Act::Resend { .. } | Act::End(_) | Act::Queue(_) => &[Side::Client],
            Act::Corrupt { .. } | Act::Mutate { .. } if matches!(direction, Direction::Response) => {
                &[Side::Client]
            }
            Act::Corrupt { .. } | Act::Mutate { .. } | Act::DamageContext(_) => &[Side::Client, Side::Server],
            Act::Duplicate => &[Side::Own],
            Act::Unsample => &[],
        }
    }

    /// Whether it strikes the messages of this direction.
    fn is_on(&self, direction: Direction) -> bool {
        self.on == Direction::Both || self.on == direction
    }
}

/// What strikes one attempt on its way. Keep it until the attempt is over.
#[derive(Debug)]
pub struct NetworkVerdict {
    site: Site,
    ledger: Rc<Ledger>,
    there: Vec<Struck>,
    back: Vec<Struck>,
    /// How the request's way ends, if not at the callee.
    pub end: Option<End>,
    /// By how much the request's way is longer: nanoseconds.
    pub delay: Nanos,
    /// The request arrives twice.
    pub doubles: bool,
    /// What becomes of its `traceparent`.
    pub damages: Option<ContextDamage>,
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
struct Struck {
    rule: Rc<Rule>,
    action: Rc<NetworkAction>,
    strike: Strike,
    delay: Nanos,
    end: Option<End>,
    /// Its effect has come.
    told: bool,
    /// Why not, otherwise.
    why: Suppression,
}

impl Drop for Struck {
    fn drop(&mut self) {
        if !self.told {
            self.rule.spare(self.why);
        }
    }
}

/// When the links of a `bandwidth` are free again.
#[derive(Debug)]
pub struct Lanes {
    bytes_per_second: u64,
    /// By caller, and whether it is the way back.
    free: RefCell<FxHashMap<(Option<ServiceId>, bool), Nanos>>,
}

impl Lanes {
    fn of(bytes_per_second: u64) -> Self {
        Self { bytes_per_second, free: RefCell::default() }
    }

    /// How long a message of this many bytes takes by itself: nanoseconds.
    fn time(&self, size: u64) -> Nanos {
        let time = u128::from(size) * 1_000_000_000 / u128::from(self.bytes_per_second.max(1));
        Nanos::try_from(time).unwrap_or(Nanos::MAX)
    }

    /// Lets a message onto a link behind those before it, which takes it `time`: how
    /// long that is in all.
    fn take(&self, lane: (Option<ServiceId>, bool), time: Nanos, now: Nanos) -> Nanos {
        let mut lanes = self.free.borrow_mut();
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
    /// What strikes an attempt that is about to leave; mostly nothing.
    pub fn network(&self, candidate: &Candidate<'_>, now: Nanos) -> Option<NetworkVerdict> {
        let rules = self.at(Point::Network, candidate.service, candidate.route)?;
        let there = self.struck(&rules, candidate, Direction::Request, now);
        // What does not arrive is not answered.
        let back = match first_end(&there) {
            Some(_) => Vec::new(),
            None => self.struck(&rules, candidate, Direction::Response, now),
        };
        if there.is_empty() && back.is_empty() {
            return None;
        }
        let (site, ledger) = (candidate.site(), Rc::clone(&self.ledger));
        let (end, delay, doubles, damages, unsamples) = (None, 0, false, None, false);
        Some(NetworkVerdict { site, ledger, there, back, end, delay, doubles, damages, unsamples })
    }

    /// The rules that strike the message of this direction.
    fn struck(
        &self,
        rules: &[Rc<Rule>],
        candidate: &Candidate<'_>,
        direction: Direction,
        now: Nanos,
    ) -> Vec<Struck> {
        let mut candidate = candidate.clone();
        if direction == Direction::Response {
            candidate.key = candidate.key.with(1);
        }
        let mut struck = Vec::new();
        for rule in rules {
            let Action::Network(action) = self.action(rule) else { continue };
            if action.is_on(direction)
                && let Some(strike) = rule.strike(&candidate, now)
            {
                struck.push(Struck::new(rule, action, strike, now));
            }
        }
        struck
    }
}

fn first_end(struck: &[Struck]) -> Option<(usize, End)> {
    struck.iter().enumerate().find_map(|(index, struck)| Some((index, struck.end?)))
}

impl Struck {
    fn new(rule: &Rc<Rule>, action: &Rc<NetworkAction>, strike: Strike, now: Nanos) -> Self {
        let (delay, end) = match &action.act {
            Act::Delay(delay) => (strike.scale(delay.sample(&mut strike.key.stream())), None),
            Act::Resend { retransmit, attempts } => {
                lost(rule.probability_at(now), &strike, *retransmit, *attempts)
            }
            Act::End(end) => (0, Some(*end)),
            Act::Queue(_)
            | Act::Corrupt { .. }
            | Act::Mutate { .. }
            | Act::Duplicate
            | Act::DamageContext(_)
            | Act::Unsample => (0, None),
        };
        let (rule, action) = (Rc::clone(rule), Rc::clone(action));
        Self { rule, action, strike, delay, end, told: false, why: Suppression::Overridden }
    }
}

/// How long a message takes that was lost once, and whether it is given up: it is sent
/// again after a time that doubles, as TCP does (RFC 6298), and may be lost again.
fn lost(rate: f64, strike: &Strike, retransmit: Nanos, attempts: u32) -> (Nanos, Option<End>) {
    let (mut delay, mut stream): (Nanos, _) = (0, strike.key.stream());
    for attempt in 0..attempts {
        delay = delay.saturating_add(retransmit.saturating_mul(1 << attempt.min(62)));
        if attempt + 1 < attempts && stream.unit() >= rate {
            return (delay, None);
        }
    }
    (delay, Some(End::Reset))
}

impl NetworkVerdict {
    /// The request leaves: from here on it is known what becomes of it.
    pub fn depart(&mut self, request: &mut Request, now: Nanos) {
        let head = request.method.len() + request.target.len() + "  HTTP/1.1\r\n\r\n".len();
        let size = (head + request.headers.size() + request.body.len()) as u64;
        let content = edit::Content { headers: &mut request.headers, body: &mut request.body };
        let message = Message { is_response: false, size, content: Some(content) };
        let mut struck = std::mem::take(&mut self.there);
        (self.delay, self.end) = self.go(&mut struck, message, now);
        self.there = struck;
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
        let mut struck = std::mem::take(&mut self.back);
        let outcome = self.go(&mut struck, message, now);
        self.back = struck;
        outcome
    }

    /// Lets the effects come: delays add up, then the first end counts. Of a message
    /// that is lost nothing else is to be seen.
    fn go(&mut self, struck: &mut [Struck], mut message: Message<'_>, now: Nanos) -> (Nanos, Option<End>) {
        let first = first_end(struck);
        let direction = if message.is_response { Direction::Response } else { Direction::Request };
        let mut delay: Nanos = 0;
        for (index, one) in struck.iter_mut().enumerate() {
            let ends = first.is_some_and(|(first, _)| first == index);
            let arrives = first.is_none();
            let is_lost = matches!(first, Some((_, End::Lost)));
            let come = if is_lost && !ends {
                Err(Suppression::Overridden)
            } else {
                self.come(one, &mut message, ends, arrives, now)
            };
            match come {
                Ok(drawn) => {
                    if let Drawn::Delay(more) = drawn {
                        delay = delay.saturating_add(more);
                    }
                    one.told = true;
                    let firing = Firing::at(&one.rule, &self.site, one.strike.window, now, drawn);
                    self.ledger.fired(firing.shown_by(self.site.spans, one.action.signs(direction)));
                }
                Err(why) => one.why = why,
            }
        }
        (delay, first.map(|(_, end)| end))
    }

    /// Lets one effect come: what it drew.
    ///
    /// # Errors
    /// Why nothing comes of it.
    fn come(
        &mut self,
        struck: &Struck,
        message: &mut Message<'_>,
        ends: bool,
        arrives: bool,
        now: Nanos,
    ) -> Result<Drawn, Suppression> {
        match &struck.action.act {
            Act::Delay(_) | Act::Resend { .. } => Ok(Drawn::Delay(struck.delay)),
            Act::Queue(lanes) => {
                let time = struck.strike.scale(lanes.time(message.size));
                Ok(Drawn::Delay(lanes.take((self.site.from, message.is_response), time, now)))
            }
            Act::End(_) if ends => Ok(Drawn::Nothing),
            Act::Corrupt { share } if arrives => {
                let content = message.content.as_mut().ok_or(Suppression::NoBody)?;
                content.corrupt(*share, struck.strike.key).map(Drawn::Bytes)
            }
            Act::Mutate { set } if arrives => {
                let content = message.content.as_mut().ok_or(Suppression::NotJson)?;
                content.mutate(set).map(|()| Drawn::Nothing)
            }
            Act::Duplicate if arrives && !std::mem::replace(&mut self.doubles, true) => Ok(Drawn::Nothing),
            Act::DamageContext(how) if arrives && self.damages.is_none() => {
                self.damages = Some(*how);
                Ok(Drawn::Nothing)
            }
            Act::Unsample if arrives && !std::mem::replace(&mut self.unsamples, true) => Ok(Drawn::Nothing),
            Act::End(_)
            | Act::Corrupt { .. }
            | Act::Mutate { .. }
            | Act::Duplicate
            | Act::DamageContext(_)
            | Act::Unsample => Err(Suppression::Overridden),
        }
    }
}
