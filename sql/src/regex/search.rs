//! Where a program matches.

use super::parse::Assert;
use super::program::{Program, State, is_of_word};
use super::{Pay, Span, invalid};
use crate::error::Result;

/// Visits of states between two payments.
const PER_PAYMENT: usize = 2_048;

/// Places of a text by states of which it is remembered that they lead nowhere, one bit each.
const REMEMBERED: usize = 8_000_000;

/// Which match is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    Any,
    Longest,
    Shortest,
}

/// The states that the text so far leads to, each with the place where its match begins: the first one.
struct Threads {
    list: Vec<(usize, usize)>,
    /// The round in which each state was visited last; rounds are counted from 1.
    seen: Vec<u64>,
}

/// A search for one match after the other, with what it has visited and not paid.
pub(crate) struct Search<'a> {
    program: &'a Program,
    text: &'a [char],
    want: Want,
    now: Threads,
    next: Threads,
    /// Places of the text at which states were followed, in all searches.
    round: u64,
    visits: usize,
    open: Vec<usize>,
}

impl<'a> Search<'a> {
    pub(super) fn new(program: &'a Program, text: &'a [char], want: Want) -> Self {
        let threads = || Threads { list: Vec::new(), seen: vec![0; program.states.len()] };
        let (now, next, open) = (threads(), threads(), Vec::new());
        Self { program, text, want, now, next, round: 0, visits: 0, open }
    }

    /// The leftmost match from `from` on.
    pub(crate) fn find(&mut self, from: usize, pay: Pay<'_>) -> Result<Option<Span>> {
        // The threads of the search before are over. They have seen the places behind its match too, in
        // rounds of their own.
        self.now.list.clear();
        self.round += 1;
        // A character in any case is looked for three times.
        let per_state = if self.program.any_case { 2 } else { 1 };
        let mut best: Option<Span> = None;
        for at in from..=self.text.len() {
            if best.is_none() && (at == 0 || !self.program.is_anchored) {
                self.follow(false, 0, at, at);
            }
            self.round += 1;
            self.next.list.clear();
            for place in 0..self.now.list.len() {
                let (state, start) = self.now.list[place];
                self.visits += per_state;
                let is_worse = |best: Span| start > best.0 || self.want == Want::Shortest && start == best.0;
                if best.is_some_and(is_worse) {
                    continue;
                }
                match self.program.states[state] {
                    State::Match => best = Some((start, at)),
                    known if self.text.get(at).is_some_and(|c| self.program.takes(known, *c)) => {
                        self.follow(true, state + 1, start, at + 1);
                    }
                    _ => {}
                }
            }
            if best.is_some() && self.want == Want::Any {
                break;
            }
            std::mem::swap(&mut self.now, &mut self.next);
            let is_over = self.now.list.is_empty() && (best.is_some() || self.program.is_anchored);
            if self.visits >= PER_PAYMENT {
                pay(std::mem::take(&mut self.visits))?;
            }
            if is_over {
                break;
            }
        }
        pay(std::mem::take(&mut self.visits))?;
        Ok(best)
    }

    /// Adds a state to the threads at the place `at`, of now or of the next character, with all that it
    /// leads to without a character.
    fn follow(&mut self, is_next: bool, state: usize, start: usize, at: usize) {
        let threads = if is_next { &mut self.next } else { &mut self.now };
        self.open.push(state);
        while let Some(state) = self.open.pop() {
            if threads.seen[state] == self.round {
                continue;
            }
            threads.seen[state] = self.round;
            self.visits += 1;
            match self.program.states[state] {
                State::Split(first, second) => self.open.extend([second, first]),
                State::Jump(to) => self.open.push(to),
                State::Keep(_) => self.open.push(state + 1),
                State::Assert(assert) if holds(assert, self.text, at) => self.open.push(state + 1),
                State::Assert(_) => {}
                State::One(_) | State::Set(_) | State::Match => threads.list.push((state, start)),
            }
        }
    }
}

fn holds(assert: Assert, text: &[char], at: usize) -> bool {
    let (before, behind) = (at.checked_sub(1).map(|at| text[at]), text.get(at).copied());
    let is_word = |c: Option<char>| c.is_some_and(is_of_word);
    match assert {
        Assert::Begin => before.is_none(),
        Assert::End => behind.is_none(),
        Assert::LineBegin => before.is_none_or(|c| c == '\n'),
        Assert::LineEnd => behind.is_none_or(|c| c == '\n'),
        Assert::WordBegin => !is_word(before) && is_word(behind),
        Assert::WordEnd => is_word(before) && !is_word(behind),
        Assert::WordEdge => is_word(before) != is_word(behind),
        Assert::NoWordEdge => is_word(before) == is_word(behind),
    }
}

/// What is to be done next.
enum Job {
    Try {
        state: usize,
        at: usize,
    },
    /// A group gets back what it had.
    Restore {
        slot: usize,
        value: Option<usize>,
    },
}

/// What each group has of a match that is known: the first way through the states counts.
pub(super) fn captures(
    program: &Program,
    text: &[char],
    whole: Span,
    groups: usize,
    pay: Pay<'_>,
) -> Result<Vec<Option<Span>>> {
    let mut slots = vec![None; 2 * groups + 2];
    if groups == 0 {
        return Ok(Vec::new());
    }
    let width = whole.1 - whole.0 + 1;
    if width.saturating_mul(program.states.len()) > REMEMBERED {
        return Err(invalid(
            "the text is too long for its parentheses",
            "use a shorter text, or (?:…) for (…)",
        ));
    }
    let words = (width * program.states.len()).div_ceil(64);
    pay(words / 4 + groups)?;
    let mut visited = vec![0_u64; words];
    let mut jobs = vec![Job::Try { state: 0, at: whole.0 }];
    let mut visits = 0;
    while let Some(job) = jobs.pop() {
        let (mut state, mut at) = match job {
            Job::Try { state, at } => (state, at),
            Job::Restore { slot, value } => {
                slots[slot] = value;
                continue;
            }
        };
        loop {
            let bit = state * width + (at - whole.0);
            if visited[bit / 64] & 1 << (bit % 64) != 0 {
                break;
            }
            visited[bit / 64] |= 1 << (bit % 64);
            visits += 1;
            if visits >= PER_PAYMENT {
                pay(std::mem::take(&mut visits))?;
            }
            match program.states[state] {
                State::Match if at == whole.1 => {
                    pay(visits)?;
                    let pair = |group: usize| slots[2 * group].zip(slots[2 * group + 1]);
                    return Ok((1..=groups).map(pair).collect());
                }
                known if at < whole.1 && program.takes(known, text[at]) => (state, at) = (state + 1, at + 1),
                State::Match | State::One(_) | State::Set(_) => break,
                State::Split(first, second) => {
                    jobs.push(Job::Try { state: second, at });
                    state = first;
                }
                State::Jump(to) => state = to,
                State::Keep(slot) => {
                    jobs.push(Job::Restore { slot, value: slots[slot] });
                    slots[slot] = Some(at);
                    state += 1;
                }
                State::Assert(assert) if holds(assert, text, at) => state += 1,
                State::Assert(_) => break,
            }
        }
    }
    pay(visits)?;
    Ok(vec![None; groups])
}
