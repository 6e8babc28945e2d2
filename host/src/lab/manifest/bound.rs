//! Bounds of checks: `at-most`, `at-least`, `equals`.

use serde_json::json;
use toml::de::DeValue;

use crate::error::{Problem, quote};
use crate::lab::measure::{Metric, Unit};
use crate::topology::key::{Key, Optional};
use crate::topology::reader::{Table, Value};
use crate::topology::shapes::By;
use crate::topology::units;

/// What a number has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bound {
    pub at_least: Option<f64>,
    pub at_most: Option<f64>,
    pub equals: Option<f64>,
    /// It is written in percent, and so is what is measured.
    pub is_share: bool,
}

impl Bound {
    pub fn holds(&self, got: f64) -> bool {
        self.at_least.is_none_or(|least| got >= least)
            && self.at_most.is_none_or(|most| got <= most)
            && self.equals.is_none_or(|wanted| (got - wanted).abs() < 1e-9)
    }

    /// The unit in which a number of this one is shown beside it.
    pub fn unit(&self, unit: Unit) -> Unit {
        if self.is_share && unit == Unit::Plain { Unit::Share } else { unit }
    }

    /// `at most 15%`.
    pub fn words(&self, unit: Unit) -> String {
        let unit = self.unit(unit);
        let show = |value| unit.show(value);
        match *self {
            Self { equals: Some(wanted), .. } => show(wanted),
            Self { at_least: Some(least), at_most: Some(most), .. } => {
                format!("from {} to {}", show(least), show(most))
            }
            Self { at_least: Some(least), .. } => format!("at least {}", show(least)),
            Self { at_most: Some(most), .. } => format!("at most {}", show(most)),
            _ => "any number".to_owned(),
        }
    }

    /// The number alone, for texts of the lab's own.
    pub fn number(&self, unit: Unit) -> String {
        let one = self.equals.or(match (self.at_least, self.at_most) {
            (Some(_), Some(_)) => None,
            (least, most) => least.or(most),
        });
        one.map_or_else(|| self.words(unit), |value| self.unit(unit).show(value))
    }
}

/// A number of a bound, as it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantity {
    pub value: f64,
    pub unit: Unit,
}

pub const QUANTITY: By<Quantity> = By {
    words: "a number, a share such as `\"15%\"`, or a time such as `\"80ms\"`",
    schema: |_| json!({ "anyOf": [{ "type": "number" }, { "type": "string", "pattern": "[0-9]" }] }),
    read: |value| quantity(value),
};

pub static AT_MOST: Key<By<Quantity>, Optional> =
    Key { name: "at-most", of: QUANTITY, absent: Optional("none"), says: "the number may not be greater" };

pub static AT_LEAST: Key<By<Quantity>, Optional> =
    Key { name: "at-least", of: QUANTITY, absent: Optional("none"), says: "the number may not be smaller" };

pub static EQUALS: Key<By<Quantity>, Optional> =
    Key { name: "equals", of: QUANTITY, absent: Optional("none"), says: "the number has to be this" };

/// A share of any size: ratios may be greater than 1.
fn quantity(value: &Value<'_>) -> Option<Quantity> {
    let DeValue::String(text) = value.item() else {
        let number =
            value.number("a number, a share such as \"15%\", or a time such as \"80ms\"", |_| true)?;
        return Some(Quantity { value: number, unit: Unit::Plain });
    };
    let Some(percent) = text.strip_suffix('%') else {
        return Some(Quantity { value: units::duration(value)? as f64, unit: Unit::Time });
    };
    match percent.trim().parse::<f64>() {
        Ok(percent) if percent.is_finite() => Some(Quantity { value: percent / 100.0, unit: Unit::Share }),
        _ => value.refuse(
            Problem::new(format!("{} is no share", quote(text))).label("no number").help("write \"15%\""),
        ),
    }
}

/// The bound of a table that has one. What is compared has this unit.
pub fn bound(table: &Table<'_>, unit: Unit) -> Option<Bound> {
    let keys = [&AT_LEAST, &AT_MOST, &EQUALS];
    let [at_least, at_most, equals] = keys.map(|key| number(key, table, unit));
    let (at_least, at_most, equals) = (at_least?, at_most?, equals?);
    let is_share = [at_least, at_most, equals].into_iter().flatten().any(|one| one.unit == Unit::Share);
    let [at_least, at_most, equals] = [at_least, at_most, equals].map(|one| one.map(|one| one.value));
    let bound = Bound { at_least, at_most, equals, is_share };
    if bound == Bound::default() {
        let problem = Problem::new(format!("{} asks for nothing", table.what)).label("it has no bound");
        table.note(problem.help(format!("write at-most, at-least or equals, and {}", unit.form())));
        return None;
    }
    Some(bound)
}

/// The bound of a metric, or of one divided by another one.
pub fn of_metric(table: &Table<'_>, metric: Option<&Metric>, per: bool) -> Option<Bound> {
    let unit = metric.map(|metric| if per { Unit::Plain } else { metric.unit() });
    bound(table, unit?)
}

fn number(key: &Key<By<Quantity>, Optional>, table: &Table<'_>, unit: Unit) -> Option<Option<Quantity>> {
    let Some(quantity) = key.read(table)? else { return Some(None) };
    let fits = match unit {
        Unit::Time => quantity.unit == Unit::Time,
        Unit::Share | Unit::Plain => quantity.unit != Unit::Time,
    };
    if !fits {
        let value = key.get(table)?;
        let problem = Problem::new(format!("{} has another unit than what is measured", quote(key.name)));
        return value.refuse(problem.label("the wrong unit").help(format!("write {}", unit.form())));
    }
    Some(Some(quantity))
}

/// Whether a table says a bound.
pub fn is_bounded(table: &Table<'_>) -> bool {
    [&AT_LEAST, &AT_MOST, &EQUALS].iter().any(|key| key.get(table).is_some())
}
