//! A pattern as a tree.

use std::iter::Peekable;
use std::str::Chars;

use super::{Options, invalid};
use crate::error::{Failure, Result};

/// How often something may be repeated.
const MOST: u32 = 255;

/// How deep parentheses may be nested.
const DEPTH: usize = 100;

/// Bytes of a pattern.
const BYTES: usize = 1_000;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Empty,
    /// A character that stands for itself.
    One(char),
    /// One of the characters of a set, by its number.
    Set(usize),
    Assert(Assert),
    /// Parentheses, with their number if they keep what they match.
    Group(Box<Node>, Option<usize>),
    Repeat {
        node: Box<Node>,
        least: u32,
        most: Option<u32>,
        /// None for `{2}`, which prefers what the node prefers.
        is_greedy: Option<bool>,
    },
    Sequence(Vec<Node>),
    Alternatives(Vec<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Assert {
    Begin,
    End,
    /// The beginning and the end of a line.
    LineBegin,
    LineEnd,
    WordBegin,
    WordEnd,
    WordEdge,
    NoWordEdge,
}

/// Characters that one place of a text may have.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Set {
    /// Without those of its parts.
    pub is_negated: bool,
    pub ranges: Vec<(char, char)>,
    /// Classes, and whether all other characters are meant.
    pub classes: Vec<(Class, bool)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Alnum,
    Alpha,
    Blank,
    Cntrl,
    Digit,
    Graph,
    Lower,
    Print,
    Punct,
    Space,
    Upper,
    Word,
    Xdigit,
}

pub(super) struct Parsed {
    pub node: Node,
    pub sets: Vec<Set>,
    pub options: Options,
    pub groups: usize,
}

impl Node {
    /// Whether it prefers the longest match or the shortest one, if it prefers one of them.
    pub(super) fn is_greedy(&self) -> Option<bool> {
        match self {
            Self::Empty | Self::One(_) | Self::Set(_) | Self::Assert(_) => None,
            Self::Group(node, _) => node.is_greedy(),
            Self::Repeat { node, is_greedy, .. } => is_greedy.or_else(|| node.is_greedy()),
            Self::Sequence(nodes) => nodes.iter().find_map(Self::is_greedy),
            Self::Alternatives(_) => Some(true),
        }
    }
}

pub(super) fn parse(pattern: &str, mut options: Options) -> Result<Parsed> {
    if pattern.len() > BYTES {
        let what = format!("the pattern has more than {BYTES} bytes");
        return Err(invalid(&what, "use a shorter pattern"));
    }
    let pattern = embedded(pattern, &mut options)?;
    let mut parser =
        Parser { rest: pattern.chars().peekable(), options, sets: Vec::new(), groups: 0, depth: 0 };
    let node = if options.literal {
        Node::Sequence(pattern.chars().map(Node::One).collect())
    } else {
        parser.alternatives()?
    };
    if !options.literal && parser.rest.peek().is_some() {
        return Err(invalid("parentheses () not balanced", "close each parenthesis, or write \\)"));
    }
    Ok(Parsed { node, sets: parser.sets, options, groups: parser.groups })
}

/// The options at the beginning of a pattern, as in `(?i)abc`.
fn embedded<'p>(pattern: &'p str, options: &mut Options) -> Result<&'p str> {
    if pattern.starts_with("***") {
        return Err(Failure::unsupported("*** at the beginning of a pattern", "use the option q for a text"));
    }
    let Some(rest) = pattern.strip_prefix("(?") else { return Ok(pattern) };
    let Some((letters, behind)) = rest.split_once(')') else { return Ok(pattern) };
    if letters.is_empty() || !letters.chars().all(|letter| letter.is_ascii_lowercase()) {
        return Ok(pattern);
    }
    for letter in letters.chars() {
        options.set(letter)?;
    }
    Ok(behind)
}

struct Parser<'p> {
    rest: Peekable<Chars<'p>>,
    options: Options,
    sets: Vec<Set>,
    groups: usize,
    depth: usize,
}

impl Parser<'_> {
    fn alternatives(&mut self) -> Result<Node> {
        let mut nodes = vec![self.sequence()?];
        while self.takes('|') {
            nodes.push(self.sequence()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::Alternatives(nodes) })
    }

    fn takes(&mut self, wanted: char) -> bool {
        self.rest.next_if_eq(&wanted).is_some()
    }

    fn begins(&self, text: &str) -> bool {
        let mut ahead = self.rest.clone();
        text.chars().all(|wanted| ahead.next() == Some(wanted))
    }

    /// Goes over comments, and over white space if it counts nothing.
    fn skip(&mut self) {
        loop {
            if self.begins("(?#") {
                while self.rest.next().is_some_and(|c| c != ')') {}
            } else if !self.options.expanded {
                return;
            } else if self.rest.peek() == Some(&'#') {
                while self.rest.next_if(|c| *c != '\n').is_some() {}
            } else if self.rest.next_if(|c| c.is_whitespace()).is_none() {
                return;
            }
        }
    }

    fn sequence(&mut self) -> Result<Node> {
        let mut nodes = Vec::new();
        loop {
            self.skip();
            match self.rest.peek() {
                None | Some('|') => break,
                Some(')') if self.depth > 0 => break,
                Some(_) => {}
            }
            let node = self.atom()?;
            self.skip();
            nodes.push(self.repeated(node)?);
        }
        Ok(match nodes.len() {
            0 => Node::Empty,
            1 => nodes.remove(0),
            _ => Node::Sequence(nodes),
        })
    }

    fn atom(&mut self) -> Result<Node> {
        let Some(c) = self.rest.next() else { return Ok(Node::Empty) };
        Ok(match c {
            '(' => return self.group(),
            ')' => return Err(invalid("parentheses () not balanced", "write \\) for a parenthesis")),
            '[' if self.begins("[:<:]]") => self.word_edge(Assert::WordBegin),
            '[' if self.begins("[:>:]]") => self.word_edge(Assert::WordEnd),
            '[' => {
                let set = self.bracket()?;
                self.set(set)
            }
            '.' => {
                let ranges = if self.options.stops_at_newline { vec![('\n', '\n')] } else { Vec::new() };
                self.set(Set { is_negated: true, ranges, classes: Vec::new() })
            }
            '^' => Node::Assert(if self.options.lines { Assert::LineBegin } else { Assert::Begin }),
            '$' => Node::Assert(if self.options.lines { Assert::LineEnd } else { Assert::End }),
            '*' | '+' | '?' => return Err(no_operand()),
            '{' if self.rest.peek().is_some_and(char::is_ascii_digit) => return Err(no_operand()),
            '\\' => return self.escape(),
            other => Node::One(other),
        })
    }

    fn set(&mut self, mut set: Set) -> Node {
        set.order();
        self.sets.push(set);
        Node::Set(self.sets.len() - 1)
    }

    fn word_edge(&mut self, assert: Assert) -> Node {
        (0.."[:<:]]".len()).for_each(|_| {
            self.rest.next();
        });
        Node::Assert(assert)
    }

    fn group(&mut self) -> Result<Node> {
        let mut number = None;
        if self.takes('?') {
            if !self.takes(':') {
                return Err(self.odd_group());
            }
        } else {
            self.groups += 1;
            number = Some(self.groups);
        }
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(invalid("parentheses are nested too deep", "use fewer parentheses"));
        }
        let node = self.alternatives()?;
        self.depth -= 1;
        if !self.takes(')') {
            return Err(invalid("parentheses () not balanced", "close each parenthesis, or write \\("));
        }
        Ok(Node::Group(Box::new(node), number))
    }

    /// What stands behind `(?` is neither `:` nor a comment.
    fn odd_group(&self) -> Failure {
        if ["=", "!", "<=", "<!"].into_iter().any(|sign| self.begins(sign)) {
            return Failure::unsupported(
                "a constraint that looks around in a regular expression",
                "match what stands around as well, or use two conditions",
            );
        }
        let hint = "write (?:…), or \\( for a parenthesis; options such as (?i) stand at the beginning";
        invalid("quantifier operand invalid", hint)
    }

    /// An atom with its quantifier.
    fn repeated(&mut self, node: Node) -> Result<Node> {
        let simple = match self.rest.peek() {
            Some('*') => Some((0, None)),
            Some('+') => Some((1, None)),
            Some('?') => Some((0, Some(1))),
            Some('{') => None,
            _ => return Ok(node),
        };
        let mut ahead = self.rest.clone();
        ahead.next();
        if simple.is_none() && !ahead.peek().is_some_and(char::is_ascii_digit) {
            return Ok(node);
        }
        self.rest = ahead;
        let (least, most, is_fixed) = match simple {
            Some((least, most)) => (least, most, false),
            None => self.bounds()?,
        };
        if matches!(node, Node::Assert(_)) {
            return Err(no_operand());
        }
        let is_greedy = Some(!self.takes('?')).filter(|_| !is_fixed);
        let is_another = |c: &char| ['*', '+', '?'].contains(c);
        if self.rest.peek().is_some_and(is_another) {
            return Err(no_operand());
        }
        Ok(Node::Repeat { node: Box::new(node), least, most, is_greedy })
    }

    /// `2}`, `2,}` or `2,3}`.
    fn bounds(&mut self) -> Result<(u32, Option<u32>, bool)> {
        let wrong = || {
            let hint = format!("write {{2}}, {{2,}} or {{2,3}}, with numbers up to {MOST}");
            invalid("invalid repetition count(s)", &hint)
        };
        let least = self.number().ok_or_else(wrong)?;
        let is_fixed = !self.takes(',');
        let most = if is_fixed { Some(least) } else { self.number() };
        let is_in_order = most.is_none_or(|most| least <= most && most <= MOST);
        if !self.takes('}') || least > MOST || !is_in_order {
            return Err(wrong());
        }
        Ok((least, most, is_fixed))
    }

    fn number(&mut self) -> Option<u32> {
        let mut number = None;
        while let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(10)) {
            self.rest.next();
            number = Some(number.unwrap_or(0_u32).saturating_mul(10).saturating_add(digit));
        }
        number
    }

    /// What stands behind a backslash, outside of brackets.
    fn escape(&mut self) -> Result<Node> {
        let Some(c) = self.rest.peek().copied() else { return Err(unfinished()) };
        let assert = match c {
            'A' => Some(Assert::Begin),
            'Z' => Some(Assert::End),
            'm' => Some(Assert::WordBegin),
            'M' => Some(Assert::WordEnd),
            'y' => Some(Assert::WordEdge),
            'Y' => Some(Assert::NoWordEdge),
            _ => None,
        };
        if let Some(assert) = assert {
            self.rest.next();
            return Ok(Node::Assert(assert));
        }
        if ('1'..='9').contains(&c) {
            return Err(Failure::unsupported(
                "a back reference in a regular expression",
                "compare the parts in the service",
            ));
        }
        if let Some((class, is_negated)) = class_of(c) {
            self.rest.next();
            return Ok(self.set(Set { classes: vec![(class, is_negated)], ..Set::default() }));
        }
        self.character().map(Node::One)
    }

    /// The character that an escape stands for.
    fn character(&mut self) -> Result<char> {
        let c = self.rest.next().ok_or_else(unfinished)?;
        let digits = match c {
            'a' => return Ok('\u{7}'),
            'b' => return Ok('\u{8}'),
            'B' => return Ok('\\'),
            'e' => return Ok('\u{1b}'),
            'f' => return Ok('\u{c}'),
            'n' => return Ok('\n'),
            'r' => return Ok('\r'),
            't' => return Ok('\t'),
            'v' => return Ok('\u{b}'),
            'u' => 4,
            'U' => 8,
            'x' => usize::MAX,
            other if !other.is_ascii_alphanumeric() => return Ok(other),
            _ => {
                return Err(invalid("invalid escape \\ sequence", "write the character without a backslash"));
            }
        };
        let mut number = 0_u32;
        let mut read = 0;
        while read < digits
            && let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(16))
        {
            self.rest.next();
            number = number.saturating_mul(16).saturating_add(digit);
            read += 1;
        }
        let is_whole = read > 0 && (digits == usize::MAX || read == digits);
        char::from_u32(number)
            .filter(|c| is_whole && *c != '\0')
            .ok_or_else(|| invalid("invalid escape \\ sequence", "write \\u00e9 or \\x41"))
    }

    /// What stands behind `[`.
    fn bracket(&mut self) -> Result<Set> {
        let open = || invalid("brackets [] not balanced", "close each bracket, or write \\[");
        let mut set = Set { is_negated: self.takes('^'), ..Set::default() };
        if set.is_negated && self.options.stops_at_newline {
            set.ranges.push(('\n', '\n'));
        }
        let mut is_first = true;
        loop {
            if !is_first && self.takes(']') {
                return Ok(set);
            }
            is_first = false;
            if self.begins("[:") {
                set.classes.push((self.named_class()?, false));
                continue;
            }
            if self.rest.peek() == Some(&'\\') {
                let mut ahead = self.rest.clone();
                ahead.next();
                if let Some(class) = ahead.peek().copied().and_then(class_of) {
                    ahead.next();
                    self.rest = ahead;
                    set.classes.push(class);
                    continue;
                }
            }
            let from = self.bracketed()?.ok_or_else(open)?;
            let mut ahead = self.rest.clone();
            if ahead.next() == Some('-') && ahead.peek().is_some_and(|c| *c != ']') {
                self.rest = ahead;
                let to = self.bracketed()?.ok_or_else(open)?;
                if to < from {
                    return Err(invalid("invalid character range", "write the lower character first: [a-z]"));
                }
                set.ranges.push((from, to));
            } else {
                set.ranges.push((from, from));
            }
        }
    }

    /// A character inside of brackets.
    fn bracketed(&mut self) -> Result<Option<char>> {
        if self.begins("[.") || self.begins("[=") {
            return Err(Failure::unsupported(
                "a collating element in a regular expression",
                "write the character itself",
            ));
        }
        match self.rest.next() {
            Some('\\') => self.character().map(Some),
            other => Ok(other),
        }
    }

    /// `[:alpha:]`.
    fn named_class(&mut self) -> Result<Class> {
        self.rest.nth(1);
        let mut name = String::new();
        while let Some(c) = self.rest.next_if(char::is_ascii_lowercase) {
            name.push(c);
        }
        let is_closed = self.takes(':') && self.takes(']');
        let class = match name.as_str() {
            "alnum" => Class::Alnum,
            "alpha" => Class::Alpha,
            "blank" => Class::Blank,
            "cntrl" => Class::Cntrl,
            "digit" => Class::Digit,
            "graph" => Class::Graph,
            "lower" => Class::Lower,
            "print" => Class::Print,
            "punct" => Class::Punct,
            "space" => Class::Space,
            "upper" => Class::Upper,
            "word" => Class::Word,
            "xdigit" => Class::Xdigit,
            _ => {
                return Err(invalid(
                    "invalid character class",
                    "write [[:alpha:]], [[:digit:]] or [[:space:]]",
                ));
            }
        };
        if is_closed { Ok(class) } else { Err(invalid("invalid character class", "write [[:alpha:]]")) }
    }
}

/// The class that a letter behind a backslash means, and whether all others are meant.
fn class_of(c: char) -> Option<(Class, bool)> {
    match c {
        'd' => Some((Class::Digit, false)),
        'D' => Some((Class::Digit, true)),
        's' => Some((Class::Space, false)),
        'S' => Some((Class::Space, true)),
        'w' => Some((Class::Word, false)),
        'W' => Some((Class::Word, true)),
        _ => None,
    }
}

fn no_operand() -> Failure {
    invalid(
        "quantifier operand invalid",
        "write something to repeat before *, +, ? and {2}, or escape them: \\*",
    )
}

fn unfinished() -> Failure {
    invalid("invalid escape \\ sequence", "write \\\\ for a backslash")
}
