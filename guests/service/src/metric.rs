//! What a service measures: an instrument for each key of `metrics`.

use std::cell::OnceCell;
use std::rc::Rc;

use simhost_notation::{Part, list, parts, quote};
use simhost_sdk::bindings::simhost::service::metrics::{Definition, FloatInstrument, IntInstrument, Kind};
use simhost_sdk::extract::Params;
use simhost_sdk::prelude::*;

/// How to write one, where what is written makes no sense.
const FORM: &str = "write KIND [VALUE] [UNIT] [KEY=VALUE], as in \"counter 1 {order} channel=web\"";

const KINDS: [&str; 4] = ["counter", "up-down-counter", "gauge", "histogram"];

/// Characters of an instrument's name, and of its unit.
const NAME_AT_MOST: usize = 255;
const UNIT_AT_MOST: usize = 63;

/// The simulator takes whole numbers up to this size as they are written.
const WHOLE_AT_MOST: f64 = (1_u64 << 53) as f64;

/// An instrument, and what it measures of each request that succeeds.
#[derive(Clone, Debug)]
pub struct Metric {
    /// The key that it stands at.
    pub key: String,
    definition: Definition,
    value: Amount,
    attributes: Vec<(String, String)>,
    instrument: Rc<OnceCell<Instrument>>,
}

#[derive(Debug)]
enum Instrument {
    Int(IntInstrument),
    Float(FloatInstrument),
}

/// A number, or one that is drawn between two.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Amount {
    low: f64,
    high: f64,
    is_whole: bool,
}

impl Metric {
    /// Reads `counter 1 {order} channel={channel}`, which stands at `key`.
    pub fn parse(key: String, name: &str, text: &str) -> Result<Self, Problem> {
        let wrong = |why: String| Problem::of(&key, why).remedy(FORM);
        check_name(name).map_err(|why| Problem::of(&key, why))?;
        let mut words = text.split_whitespace().peekable();
        let kind = match words.next().unwrap_or_default() {
            "counter" => Kind::Counter,
            "up-down-counter" => Kind::UpDownCounter,
            "gauge" => Kind::Gauge,
            "histogram" => Kind::Histogram(None),
            other => {
                return Err(wrong(format!("{} is no kind of instrument: {}", quote(other), list(KINDS))));
            }
        };
        let begins_number =
            |word: &&str| word.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.');
        let value = words.next_if(begins_number).map(Amount::parse).transpose().map_err(&wrong)?;
        let has_value = value.is_some();
        let value = match value {
            Some(value) => value,
            None => Amount { low: 1.0, high: 1.0, is_whole: true },
        };
        if matches!(kind, Kind::Counter) && value.low < 0.0 {
            return Err(wrong("a counter only grows: its value is not below 0".to_owned()));
        }
        let unit = words.next_if(|word| !word.contains('=')).unwrap_or_default().to_owned();
        // Where there is no number yet, letters are a slip in one: `ten`, `NaN`.
        if !has_value && unit.starts_with(|c: char| c.is_alphabetic()) {
            let unit = quote(&unit);
            return Err(wrong(format!("{unit} is no number: a unit of letters stands behind the value")));
        }
        if unit.len() > UNIT_AT_MOST || !unit.bytes().all(|c| c.is_ascii_graphic()) {
            return Err(wrong(format!(
                "the unit {} is not up to {UNIT_AT_MOST} printable characters of ASCII",
                quote(&unit)
            )));
        }
        let pair = |word: &str| match word.split_once('=') {
            Some((key, value)) if !key.is_empty() && is_closed(value) => {
                Ok((key.to_owned(), value.to_owned()))
            }
            _ => Err(wrong(format!("{} is no attribute", quote(word)))),
        };
        let attributes: Vec<(String, String)> = words.map(pair).collect::<Result<_, _>>()?;
        for (at, (key, _)) in attributes.iter().enumerate() {
            if attributes[..at].iter().any(|(before, _)| before == key) {
                return Err(wrong(format!("the attribute {} is there twice", quote(key))));
            }
        }
        let definition = Definition { name: name.to_owned(), kind, unit, description: String::new() };
        Ok(Self { key, definition, value, attributes, instrument: Rc::default() })
    }

    /// Measures a request.
    pub fn measure(&self, params: &Params) {
        let attributes = self.attributes.iter().map(|(key, value)| (key.clone(), fill(value, params).into()));
        let attributes: Vec<_> = attributes.collect();
        let value = self.value.draw();
        match self.instrument.get_or_init(|| self.instrument()) {
            Instrument::Int(instrument) => instrument.record(value as i64, &attributes),
            Instrument::Float(instrument) => instrument.record(value, &attributes),
        }
    }

    fn instrument(&self) -> Instrument {
        match self.value.is_whole {
            true => Instrument::Int(IntInstrument::new(&self.definition)),
            false => Instrument::Float(FloatInstrument::new(&self.definition)),
        }
    }

    /// What is wrong if both are measured by one service.
    pub fn conflict(&self, other: &Self) -> Option<Problem> {
        let (name, theirs) = (&self.definition.name, &other.definition);
        let is_same = self.kind() == other.kind()
            && self.definition.unit == theirs.unit
            && self.value.is_whole == other.value.is_whole;
        if is_same || !name.eq_ignore_ascii_case(&theirs.name) {
            return None;
        }
        let message = format!("{} has another kind, unit or type of number at {}", quote(name), other.key);
        Some(Problem::of(&self.key, message).remedy("write both alike, or give one another name"))
    }

    /// Names of parameters that its attributes have.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.attributes.iter().flat_map(|(_, value)| parts(value)).filter_map(|part| match part {
            Part::Name(name) => Some(name),
            Part::Text(_) => None,
        })
    }

    fn kind(&self) -> &'static str {
        match self.definition.kind {
            Kind::Counter => KINDS[0],
            Kind::UpDownCounter => KINDS[1],
            Kind::Gauge => KINDS[2],
            Kind::Histogram(_) => KINDS[3],
        }
    }
}

impl Amount {
    /// Reads `1`, `0.5` or `1..20`.
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{} is no number, and no range such as 1..20", quote(text));
        let (low, high) = text.split_once("..").unwrap_or((text, text));
        let number = |text: &str| {
            let is_plain = text.bytes().all(|c| c.is_ascii_digit() || b".-".contains(&c));
            text.parse::<f64>().ok().filter(|number| is_plain && number.abs() <= WHOLE_AT_MOST)
        };
        let is_whole = !low.contains('.') && !high.contains('.');
        match (number(low), number(high)) {
            (Some(low), Some(high)) if low <= high => Ok(Self { low, high, is_whole }),
            _ => Err(wrong()),
        }
    }

    fn draw(self) -> f64 {
        let Self { low, high, is_whole } = self;
        match is_whole {
            _ if low == high => low,
            true => random::uniform(low..high + 1.0).floor(),
            false => random::uniform(low..high),
        }
    }
}

/// By the specification of OpenTelemetry.
fn check_name(name: &str) -> Result<(), String> {
    let is_inner = |c: u8| c.is_ascii_alphanumeric() || b"_.-/".contains(&c);
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.bytes().all(is_inner);
    if is_name && name.len() <= NAME_AT_MOST {
        return Ok(());
    }
    let rule =
        format!("a letter, then letters, digits, `_`, `.`, `-` and `/`, up to {NAME_AT_MOST} characters");
    Err(format!("{} is no name of an instrument: {rule}", quote(name)))
}

/// Whether every brace has its other one.
fn is_closed(value: &str) -> bool {
    let mut is_open = false;
    value.bytes().all(|c| match c {
        b'{' => !std::mem::replace(&mut is_open, true),
        b'}' => std::mem::replace(&mut is_open, false),
        _ => true,
    }) && !is_open
}

/// Puts the request's parameters in place of their names. One that it does not have is empty.
fn fill(value: &str, params: &Params) -> String {
    let fill_part = |part| match part {
        Part::Text(text) => text,
        Part::Name(name) => params.get(name).unwrap_or_default(),
    };
    parts(value).map(fill_part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Metric, String> {
        Metric::parse("metrics.orders".to_owned(), "orders", text).map_err(|problem| problem.message)
    }

    #[test]
    fn a_metric_is_a_kind_and_what_is_left_out_is_one_without_a_unit() {
        let metric = parse("counter").unwrap();
        assert_eq!((metric.kind(), metric.definition.unit.as_str()), ("counter", ""));
        assert_eq!(metric.value, Amount { low: 1.0, high: 1.0, is_whole: true });
        let metric = parse("up-down-counter -2 {cart} shop=north kind={kind}s").unwrap();
        assert_eq!((metric.kind(), metric.definition.unit.as_str()), ("up-down-counter", "{cart}"));
        assert_eq!(metric.value, Amount { low: -2.0, high: -2.0, is_whole: true });
        let pairs = [("shop", "north"), ("kind", "{kind}s")];
        assert_eq!(metric.attributes, pairs.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(
            parse("histogram 1..20 By").unwrap().value,
            Amount { low: 1.0, high: 20.0, is_whole: true }
        );
        assert_eq!(parse("gauge 0.5..1.5").unwrap().value, Amount { low: 0.5, high: 1.5, is_whole: false });
        assert_eq!(parse("counter channel=web").unwrap().definition.unit, "");
        assert_eq!(parse("counter {order}").unwrap().definition.unit, "{order}");
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for (text, said) in [
            ("", "\"\" is no kind of instrument: \"counter\""),
            ("summary 1", "\"summary\" is no kind of instrument"),
            ("counter -1", "a counter only grows"),
            ("gauge 2..1", "\"2..1\" is no number, and no range"),
            ("gauge 1e9", "\"1e9\" is no number"),
            ("gauge --1", "\"--1\" is no number"),
            ("counter 1 {order} {order}", "\"{order}\" is no attribute"),
            ("counter 1 {order} =web", "\"=web\" is no attribute"),
            ("counter 1 {order} a={b", "\"a={b\" is no attribute"),
            ("counter 1 °C", "the unit \"°C\" is not"),
            ("counter 1 \u{7f}", "the unit \"\\u{7f}\" is not"),
            ("counter ten", "\"ten\" is no number"),
            ("gauge NaN", "\"NaN\" is no number"),
            ("gauge inf s", "\"inf\" is no number"),
            ("counter 1 {order} a=1 b=2 a=3", "the attribute \"a\" is there twice"),
        ] {
            let problem = parse(text).expect_err(text);
            assert!(problem.starts_with(said), "{text}: {problem}");
        }
        let named = |name: &str| {
            Metric::parse("metrics".to_owned(), name, "counter").map_err(|problem| problem.message)
        };
        assert!(named("1st").expect_err("a digit").contains("\"1st\" is no name of an instrument"));
        assert!(named(&"x".repeat(256)).is_err() && named("orders.placed/total-2_x").is_ok());
    }

    #[test]
    fn parameters_of_the_path_stand_in_attributes() {
        let params = Params(vec![("kind".to_owned(), "book".to_owned())]);
        assert_eq!(fill("{kind}s of {shop}", &params), "books of ");
    }
}
