//! A walk over a TOML document that goes on after a problem, so that a file's
//! problems are reported all at once.
//!
//! A [`Value`] that does not read as wanted notes a problem and gives `None`;
//! its reader takes the default and walks on. The result counts only when no
//! problem was noted.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{Problem, Severity, did_you_mean, list, nearest, quote};
use crate::model::Place;

use super::remedy::{bare, clip, named, texts};

/// Problems of one file that are kept; the others are counted.
const PROBLEMS_AT_MOST: usize = 200;

/// Names that a remedy writes tables for.
const NAMED_AT_MOST: usize = 3;

/// What is wrong with a file, as far as it has been read.
#[derive(Debug)]
pub(crate) struct Problems<'a> {
    text: &'a str,
    noted: RefCell<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
    /// Errors that are counted and not kept.
    further: usize,
}

impl<'a> Problems<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, noted: RefCell::default() }
    }

    /// Adds a problem. A place of several lines shrinks to the first.
    pub fn note(&self, mut problem: Problem) {
        let noted = &mut *self.noted.borrow_mut();
        let kept = if problem.is_error() { &mut noted.errors } else { &mut noted.warnings };
        if kept.len() >= PROBLEMS_AT_MOST {
            noted.further += usize::from(problem.is_error());
            return;
        }
        if let Some(at) = &mut problem.at {
            let lines = self.text.get(at.clone()).unwrap_or("");
            at.end = at.start + lines.lines().next().map_or(0, str::len);
        }
        kept.push(problem);
    }

    /// Marks the warnings that `read` notes as those of faults.
    pub fn of_faults<T>(&self, read: impl FnOnce() -> T) -> T {
        let before = self.noted.borrow().warnings.len();
        let value = read();
        self.noted.borrow_mut().warnings[before..].iter_mut().for_each(|warning| warning.is_of_fault = true);
        value
    }

    /// No further problem is kept: what only serves to describe one may be left out.
    pub fn full(&self) -> bool {
        self.noted.borrow().errors.len() >= PROBLEMS_AT_MOST
    }

    /// The errors and the warnings, each in the order of the file; and how many errors there are beside them.
    pub fn into_sorted(self) -> (Vec<Problem>, Vec<Problem>, usize) {
        let Noted { mut errors, mut warnings, further } = self.noted.into_inner();
        for problems in [&mut errors, &mut warnings] {
            problems.sort_by_key(|problem| problem.at.as_ref().map_or(0, |at| at.start));
        }
        (errors, warnings, further)
    }
}

/// A table, and where its keys stand.
#[derive(Clone, Debug)]
pub(crate) struct Table<'a> {
    /// What the table is, in messages: `[ingress]`, `service "a"`.
    pub what: String,
    pub place: Place,
    /// In the order of the file.
    entries: Vec<Value<'a>>,
    /// The keys that it may have.
    known: RefCell<Vec<&'static str>>,
    problems: &'a Problems<'a>,
}

impl<'a> Table<'a> {
    /// The whole document.
    pub fn root(document: &'a Spanned<DeTable<'a>>, problems: &'a Problems<'a>) -> Self {
        Self::new("the file".to_owned(), 0..0, document.get_ref(), problems)
    }

    fn new(what: String, place: Place, table: &'a DeTable<'a>, problems: &'a Problems<'a>) -> Self {
        let mut entries: Vec<Value<'a>> = table
            .iter()
            .map(|(key, item)| Value {
                key: key.get_ref(),
                key_place: key.span(),
                listed: false,
                item,
                problems,
            })
            .collect();
        entries.sort_by_key(|entry| entry.key_place.start);
        Self { what, place, entries, known: RefCell::default(), problems }
    }

    /// Says some of the keys that it may have. When all have been said,
    /// [`refuse_others`](Self::refuse_others) notes those that it may not have.
    pub fn know(&self, keys: impl IntoIterator<Item = &'static str>) {
        self.known.borrow_mut().extend(keys);
    }

    /// The value of a key that it may have.
    pub fn value(&self, key: &'static str) -> Option<Value<'a>> {
        assert!(self.known.borrow().contains(&key), "{} does not declare {key}", self.what);
        self.entries.iter().find(|entry| entry.key == key).cloned()
    }

    /// Notes every key that it may not have.
    pub fn refuse_others(&self) {
        let known = self.known.borrow();
        for entry in self.entries.iter().filter(|entry| !known.contains(&entry.key)) {
            let help = match nearest(entry.key, known.iter().copied()) {
                Some(near) => format!("did you mean {}?", quote(near)),
                None => {
                    let mut told = BTreeSet::new();
                    let known = known.iter().copied().filter(|key| told.insert(*key));
                    format!("known keys of {}: {}", self.what, list(known))
                }
            };
            self.problems.note(
                Problem::new(format!("unknown key {} in {}", quote(entry.key), self.what))
                    .at(entry.key_place.clone(), "not a key of this table")
                    .help(help),
            );
        }
    }

    /// Every entry, for tables whose keys are the user's own.
    pub fn entries(&self) -> &[Value<'a>] {
        &self.entries
    }

    /// A value that must be there; `remedy` says how to write it.
    pub fn need(&self, key: &str, value: Option<Value<'a>>, remedy: &str) -> Option<Value<'a>> {
        if value.is_none() {
            let message = format!("{} needs {}", self.what, quote(key));
            self.note(Problem::new(message).label(format!("{key} is missing")).help(remedy));
        }
        value
    }

    /// A problem of the table as a whole.
    pub fn note(&self, mut problem: Problem) {
        problem.at = Some(self.place.clone());
        self.problems.note(problem);
    }
}

/// A value, the key it stands under, and where both stand.
#[derive(Clone, Debug)]
pub(crate) struct Value<'a> {
    pub key: &'a str,
    pub key_place: Place,
    /// One of several in a list.
    listed: bool,
    item: &'a Spanned<DeValue<'a>>,
    problems: &'a Problems<'a>,
}

impl<'a> Value<'a> {
    pub fn place(&self) -> Place {
        self.item.span()
    }

    pub fn item(&self) -> &'a DeValue<'a> {
        self.item.get_ref()
    }

    pub fn problems(&self) -> &'a Problems<'a> {
        self.problems
    }

    /// As it stands in the file.
    pub fn written(&self) -> &'a str {
        &self.problems.text[self.place()]
    }

    /// Notes a problem of this value. Gives `None`, for readers to return.
    pub fn refuse<T>(&self, mut problem: Problem) -> Option<T> {
        problem.at = Some(self.place());
        self.problems.note(problem);
        None
    }

    /// Notes a problem of this value's key.
    pub fn refuse_key<T>(&self, mut problem: Problem) -> Option<T> {
        problem.at = Some(self.key_place.clone());
        self.problems.note(problem);
        None
    }

    /// Notes that this value may be a mistake; it is taken all the same.
    pub fn doubt(&self, mut problem: Problem) {
        problem.severity = Severity::Warning;
        self.refuse::<()>(problem);
    }

    /// Notes that this is not the kind of value that is wanted.
    pub fn refuse_kind<T>(&self, wanted: &str, remedy: impl Display) -> Option<T> {
        let found = kind(self.item());
        let each = if self.listed { "each of " } else { "" };
        self.refuse(
            Problem::new(format!("{each}{} must be {wanted}, not {found}", quote(self.key)))
                .label(format!("this is {found}"))
                .help(remedy.to_string()),
        )
    }

    pub fn text(&self) -> Option<&'a str> {
        match self.item() {
            DeValue::String(text) => Some(text),
            DeValue::Table(_) | DeValue::Array(_) => self.refuse_kind("a string", self.one_text()),
            _ => self.refuse_kind("a string", format!("put it in quotes: {}", quote(self.written()))),
        }
    }

    /// How to write one text in place of several, or of a table that has one.
    fn one_text(&self) -> String {
        match texts(self.item()).as_slice() {
            [] => "write text in quotes".to_owned(),
            [one] => format!("write {} = {}", self.key, quote(one)),
            [one, ..] => format!("write one of them: {} = {}", self.key, quote(one)),
        }
    }

    /// A string that says something.
    pub fn filled(&self) -> Option<&'a str> {
        match self.text()? {
            "" => self.refuse(
                Problem::new(format!("{} is empty", quote(self.key)))
                    .label("nothing between the quotes")
                    .help("give it a value or leave the key out"),
            ),
            text => Some(text),
        }
    }

    /// A string that `read` makes sense of.
    pub fn read<T>(&self, read: impl FnOnce(&str) -> Result<T, Problem>) -> Option<T> {
        read(self.text()?).map_or_else(|problem| self.refuse(problem), Some)
    }

    /// One of a few words; `what` says what they are, in the singular.
    pub fn choice<T: Copy>(&self, what: &str, choices: &[(&str, T)]) -> Option<T> {
        let word = self.text()?;
        let names = choices.iter().map(|(name, _)| *name);
        match choices.iter().find(|(name, _)| *name == word) {
            Some((_, choice)) => Some(*choice),
            None => self.refuse(
                Problem::new(format!("unknown {what} {}", quote(word)))
                    .label(format!(
                        "not {} {what}",
                        if what.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" }
                    ))
                    .help(did_you_mean(word, &format!("{what}s"), names)),
            ),
        }
    }

    pub fn flag(&self) -> Option<bool> {
        match self.item() {
            DeValue::Boolean(flag) => Some(*flag),
            _ => self.refuse_kind("true or false", format!("write {0} = true or {0} = false", self.key)),
        }
    }

    /// A whole number within `range`.
    pub fn whole(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let (least, most) = (range.start(), range.end());
        let DeValue::Integer(integer) = self.item() else {
            let remedy = format!("write a whole number from {least} to {most}, without quotes");
            return self.refuse_kind("a whole number", remedy);
        };
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        number.filter(|number| range.contains(number)).or_else(|| {
            self.refuse(
                Problem::new(format!("{} is out of range: {}", quote(self.key), clip(self.written())))
                    .label(if integer.as_str().starts_with('-') { "negative" } else { "out of range" })
                    .help(format!("write a whole number from {least} to {most}")),
            )
        })
    }

    /// [`whole`](Self::whole) for ranges that end within 32 bits.
    pub fn count(&self, range: RangeInclusive<u32>) -> Option<u32> {
        let number = self.whole(u64::from(*range.start())..=u64::from(*range.end()))?;
        u32::try_from(number).ok()
    }

    /// A finite number, with or without a point, that `fits`; `wanted` says which do.
    pub fn number(&self, wanted: &str, fits: impl FnOnce(f64) -> bool) -> Option<f64> {
        let number: f64 = match self.item() {
            DeValue::Float(float) => float.as_str().parse().unwrap_or(f64::NAN),
            DeValue::Integer(integer) if integer.radix() == 10 => {
                integer.as_str().parse().unwrap_or(f64::NAN)
            }
            _ => return self.refuse_kind("a number", format!("write {wanted}, without quotes")),
        };
        if number.is_finite() && fits(number) {
            return Some(number);
        }
        self.refuse(
            Problem::new(format!("{} is out of range: {}", quote(self.key), clip(self.written())))
                .label("out of range")
                .help(format!("write {wanted}")),
        )
    }

    /// The values of an array, each under this value's key.
    pub fn list(&self) -> Option<Vec<Value<'a>>> {
        let DeValue::Array(items) = self.item() else {
            let inside = match (self.item(), texts(self.item()).as_slice()) {
                (DeValue::Table(_), _) | (DeValue::String(_), []) => "\"…\"".to_owned(),
                _ => clip(self.written()),
            };
            return self.refuse_kind("a list", format!("write {} = [{inside}]", self.key));
        };
        Some(items.iter().map(|item| Value { item, listed: true, ..self.clone() }).collect())
    }

    /// How to write it in another way: `key = VALUE`, in a list if it stands in one.
    pub fn assigned(&self, value: &str) -> String {
        let key = bare(self.key);
        if self.listed { format!("write {key} = [{value}]") } else { format!("write {key} = {value}") }
    }

    /// It is a table, or a list of them.
    pub fn may_be_table(&self) -> bool {
        let is_table = |item: &DeValue<'_>| matches!(item, DeValue::Table(_));
        match self.item() {
            DeValue::Array(items) => items.iter().any(|item| is_table(item.get_ref())),
            item => is_table(item),
        }
    }

    /// A table; `what` is its name in messages.
    pub fn table(&self, what: impl Into<String>) -> Option<Table<'a>> {
        let what = what.into();
        match self.item() {
            DeValue::Table(table) => Some(Table::new(what, self.place(), table, self.problems)),
            DeValue::Array(_) if self.may_be_table() => {
                self.refuse_kind("a table", format!("{what} is one table, not a list of them"))
            }
            _ => self.refuse_kind("a table", self.assigned("{ … }")),
        }
    }

    /// A table with a table for each name, `[topics]`: `what` is its name in messages, `each` what stands for
    /// a table in it.
    pub fn by_name(&self, what: &str, each: &str) -> Option<Table<'a>> {
        if let DeValue::Table(_) = self.item() {
            return self.table(what);
        }
        let names = named(self.item());
        let written = |write: &dyn Fn(&str) -> String, between: &str| {
            let some = names.iter().take(NAMED_AT_MOST).map(|name| write(&bare(name)));
            some.chain((names.len() > NAMED_AT_MOST).then(|| "…".to_owned()))
                .collect::<Vec<_>>()
                .join(between)
        };
        let remedy = match what.starts_with('[') {
            true => {
                let heads = written(&|name| format!("[{}.{name}]", self.key), ", ");
                let each = if names.len() > 1 { "each " } else { "" };
                format!("write {heads}, {each}with its keys below")
            }
            false => {
                let tables = written(&|name| format!("{name} = {each}"), ", ");
                format!("write {} = {{ {tables} }}", self.key)
            }
        };
        self.refuse_kind("a table", remedy)
    }

    /// The tables of `[[key]]`; `what` is the name of one in messages.
    pub fn tables(&self, what: &str) -> Vec<Table<'a>> {
        let DeValue::Array(items) = self.item() else {
            self.refuse_kind::<()>("a list of tables", format!("write [[{}]] above each of them", self.key));
            return Vec::new();
        };
        let items = items.iter().map(|item| Value { item, listed: true, ..self.clone() });
        let table = |item: Value<'a>| match item.item() {
            DeValue::Table(_) => item.table(what),
            _ => item.refuse_kind("a table", format!("write [[{}]] for each, with its keys below", self.key)),
        };
        items.filter_map(table).collect()
    }
}

/// The kind of a TOML value, with its article.
fn kind(item: &DeValue<'_>) -> &'static str {
    match item {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
