//! A pattern as states, and the characters that lead from one to the next.

use super::parse::{Assert, Class, Node, Set};
use super::{Options, invalid};
use crate::error::{Failure, Result};

/// States of a pattern: each character of a text may visit all of them.
const STATES: usize = 4_000;

/// Parts of a pattern, each as often as it is repeated: what is empty gives no state.
const PARTS: usize = 16_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// This character leads to the next state.
    One(char),
    /// A character of the set does.
    Set(usize),
    /// Both are next, the first one rather.
    Split(usize, usize),
    Jump(usize),
    /// The beginning of a group, or its end: twice its number, and one more.
    Keep(usize),
    Assert(Assert),
    Match,
}

#[derive(Debug)]
pub(super) struct Program {
    pub states: Vec<State>,
    pub sets: Vec<Set>,
    pub any_case: bool,
    /// It matches at the beginning of a text alone.
    pub is_anchored: bool,
    /// Parts of the pattern that were added.
    parts: usize,
}

impl Program {
    pub(super) fn of(node: &Node, sets: Vec<Set>, options: Options) -> Result<Self> {
        let any_case = options.any_case;
        let mut program = Self { states: Vec::new(), sets, any_case, is_anchored: false, parts: 0 };
        program.add(node)?;
        program.push(State::Match)?;
        let first = program.states.iter().find(|state| !matches!(state, State::Keep(_)));
        program.is_anchored = first == Some(&State::Assert(Assert::Begin));
        Ok(program)
    }

    fn push(&mut self, state: State) -> Result<usize> {
        if self.states.len() == STATES {
            return Err(too_complex());
        }
        self.states.push(state);
        Ok(self.states.len() - 1)
    }

    fn add(&mut self, node: &Node) -> Result<()> {
        self.parts += 1;
        if self.parts > PARTS {
            return Err(too_complex());
        }
        match node {
            Node::Empty => {}
            Node::One(c) => {
                self.push(State::One(*c))?;
            }
            Node::Set(set) => {
                self.push(State::Set(*set))?;
            }
            Node::Assert(assert) => {
                self.push(State::Assert(*assert))?;
            }
            Node::Group(node, None) => self.add(node)?,
            Node::Group(node, Some(number)) => {
                self.push(State::Keep(2 * number))?;
                self.add(node)?;
                self.push(State::Keep(2 * number + 1))?;
            }
            Node::Sequence(nodes) => nodes.iter().try_for_each(|node| self.add(node))?,
            Node::Alternatives(nodes) => self.alternatives(nodes)?,
            Node::Repeat { node, least, most, is_greedy } => {
                for _ in 0..*least {
                    self.add(node)?;
                }
                match most {
                    None => {
                        let split = self.push(State::Match)?;
                        self.add(node)?;
                        self.push(State::Jump(split))?;
                        self.states[split] = self.split(split, is_greedy.unwrap_or(true));
                    }
                    Some(most) => {
                        let mut splits = Vec::new();
                        for _ in *least..*most {
                            splits.push(self.push(State::Match)?);
                            self.add(node)?;
                        }
                        for split in splits {
                            self.states[split] = self.split(split, is_greedy.unwrap_or(true));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// What goes on behind a state, or behind all that there is.
    fn split(&self, at: usize, is_greedy: bool) -> State {
        let (more, done) = (at + 1, self.states.len());
        if is_greedy { State::Split(more, done) } else { State::Split(done, more) }
    }

    fn alternatives(&mut self, nodes: &[Node]) -> Result<()> {
        let mut jumps = Vec::new();
        for (at, node) in nodes.iter().enumerate() {
            if at + 1 == nodes.len() {
                self.add(node)?;
                break;
            }
            let split = self.push(State::Match)?;
            self.add(node)?;
            jumps.push(self.push(State::Match)?);
            self.states[split] = self.split(split, true);
        }
        let done = self.states.len();
        jumps.into_iter().for_each(|jump| self.states[jump] = State::Jump(done));
        Ok(())
    }

    /// Whether a character leads from a state to the one behind it.
    pub(super) fn takes(&self, state: State, c: char) -> bool {
        let cased = |has: &dyn Fn(char) -> bool| has(c) || self.any_case && (has(lower(c)) || has(upper(c)));
        match state {
            State::One(wanted) => {
                wanted == c || self.any_case && cased(&|c| lower(wanted) == c || upper(wanted) == c)
            }
            State::Set(set) => cased(&|c| self.sets[set].has(c)) != self.sets[set].is_negated,
            _ => false,
        }
    }
}

fn too_complex() -> Failure {
    invalid("regular expression is too complex", "repeat less with {2,3}")
}

/// The small letter, if it is one character.
fn lower(c: char) -> char {
    let mut lower = c.to_lowercase();
    lower.next().filter(|_| lower.next().is_none()).unwrap_or(c)
}

fn upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    upper.next().filter(|_| upper.next().is_none()).unwrap_or(c)
}

impl Set {
    /// Ranges in their order, of which none touches another.
    pub(super) fn order(&mut self) {
        self.ranges.sort_unstable();
        let mut ordered: Vec<(char, char)> = Vec::with_capacity(self.ranges.len());
        for (from, to) in self.ranges.drain(..) {
            match ordered.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => ordered.push((from, to)),
            }
        }
        self.ranges = ordered;
        self.classes.sort_unstable_by_key(|(class, is_negated)| (*class as u8, *is_negated));
        self.classes.dedup();
    }

    fn has(&self, c: char) -> bool {
        let at = self.ranges.partition_point(|(from, _)| *from <= c);
        at > 0 && c <= self.ranges[at - 1].1
            || self.classes.iter().any(|(class, is_negated)| class.has(c) != *is_negated)
    }
}

impl Class {
    fn has(self, c: char) -> bool {
        match self {
            Self::Alnum => c.is_alphanumeric(),
            Self::Alpha => c.is_alphabetic(),
            Self::Blank => c == ' ' || c == '\t',
            Self::Cntrl => c.is_control(),
            Self::Digit => c.is_ascii_digit(),
            Self::Graph => !c.is_control() && !c.is_whitespace(),
            Self::Lower => c.is_lowercase(),
            Self::Print => !c.is_control(),
            Self::Punct => c.is_ascii_punctuation(),
            Self::Space => c.is_whitespace(),
            Self::Upper => c.is_uppercase(),
            Self::Word => is_of_word(c),
            Self::Xdigit => c.is_ascii_hexdigit(),
        }
    }
}

pub(super) fn is_of_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}
