//! Aggregates that SQLite has not: variances and percentiles.

use rusqlite::Error;
use rusqlite::functions::{Aggregate, Context};

use super::{Functions, SAME, overflow};
use crate::error::{Failure, Result, sqlstate};
use crate::price::Price;
use crate::state::Shared;
use crate::value::Value;

/// `pg_variance(x, what)`, and `pg_percentile(x, fraction, what)`.
pub(super) fn define(connection: &Functions<'_>, most: usize) -> rusqlite::Result<()> {
    let variance = Variance { shared: connection.shared.clone(), price: Price::of("pg_variance") };
    connection.connection.create_aggregate_function("pg_variance", 2, SAME, variance)?;
    let percentile =
        Percentile { shared: connection.shared.clone(), price: Price::of("pg_percentile"), most };
    connection.connection.create_aggregate_function("pg_percentile", 3, SAME, percentile)
}

fn carried<T>(result: Result<T>) -> rusqlite::Result<T> {
    result.map_err(|failure| Error::UserFunctionError(failure.carried().into()))
}

fn argument(context: &Context<'_>, at: usize) -> Value {
    Value::from_ref(context.get_raw(at))
}

fn number(value: &Value) -> Result<f64> {
    let number = match value {
        Value::Int(number) => *number as f64,
        Value::Float(number) => *number,
        other => {
            let text = crate::types::text(other.clone());
            let message = format!("invalid input syntax for type double precision: \"{text}\"");
            return Err(Failure::new(sqlstate::INVALID_TEXT, message).hint("give it numbers"));
        }
    };
    if number.is_finite() { Ok(number) } else { Err(overflow()) }
}

struct Variance {
    shared: Shared,
    price: Price,
}

/// By Welford, "Note on a method for calculating corrected sums of squares and products", 1962.
#[derive(Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
    what: String,
}

impl Aggregate<Moments, Value> for Variance {
    fn init(&self, context: &mut Context<'_>) -> rusqlite::Result<Moments> {
        let what = crate::types::text(argument(context, 1));
        Ok(Moments { what, ..Moments::default() })
    }

    fn step(&self, context: &mut Context<'_>, moments: &mut Moments) -> rusqlite::Result<()> {
        let value = argument(context, 0);
        carried(self.shared.take(self.price.call(value.length())))?;
        if value == Value::Null {
            return Ok(());
        }
        let number = carried(number(&value))?;
        moments.count += 1.0;
        let apart = number - moments.mean;
        moments.mean += apart / moments.count;
        moments.squares += apart * (number - moments.mean);
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, moments: Option<Moments>) -> rusqlite::Result<Value> {
        let Some(Moments { count, squares, what, .. }) = moments else { return Ok(Value::Null) };
        let of = if what.ends_with("_pop") { count } else { count - 1.0 };
        if of <= 0.0 {
            return Ok(Value::Null);
        }
        let variance = squares / of;
        let value = if what.starts_with("stddev") { libm::sqrt(variance) } else { variance };
        if value.is_finite() { Ok(Value::Float(value)) } else { carried(Err(overflow())) }
    }
}

struct Percentile {
    shared: Shared,
    price: Price,
    /// Bytes of values that it keeps at most.
    most: usize,
}

struct Kept {
    values: Vec<Value>,
    bytes: usize,
    fraction: Value,
    what: String,
}

impl Aggregate<Kept, Value> for Percentile {
    fn init(&self, context: &mut Context<'_>) -> rusqlite::Result<Kept> {
        let what = crate::types::text(argument(context, 2));
        Ok(Kept { values: Vec::new(), bytes: 0, fraction: argument(context, 1), what })
    }

    fn step(&self, context: &mut Context<'_>, kept: &mut Kept) -> rusqlite::Result<()> {
        let value = argument(context, 0);
        carried(self.shared.take(self.price.call(value.length())))?;
        if value == Value::Null {
            return Ok(());
        }
        kept.bytes += value.weight();
        if kept.bytes > self.most {
            let message = format!("the values of a percentile have more than {} bytes", self.most);
            let failure = Failure::new(sqlstate::LIMIT, message).hint("group by more, or add a condition");
            return carried(Err(failure));
        }
        kept.values.push(value);
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, kept: Option<Kept>) -> rusqlite::Result<Value> {
        let Some(kept) = kept else { return Ok(Value::Null) };
        carried(self.of(kept))
    }
}

impl Percentile {
    fn of(&self, kept: Kept) -> Result<Value> {
        let Kept { mut values, bytes, fraction, what } = kept;
        // It is sorted in so many comparisons.
        self.shared.charge(bytes.saturating_mul(values.len().checked_ilog2().unwrap_or(0) as usize + 1))?;
        values.sort_by(super::order);
        let Some(last) = values.len().checked_sub(1) else { return Ok(Value::Null) };
        let descending = what.ends_with("desc");
        if what.starts_with("mode") {
            return Ok(most_frequent(&values, descending));
        }
        if fraction == Value::Null {
            return Ok(Value::Null);
        }
        let share = number(&fraction)?;
        if !(0.0..=1.0).contains(&share) {
            let message = format!("percentile value {share} is not between 0 and 1");
            return Err(Failure::new(sqlstate::OUT_OF_RANGE, message).hint("write 0.95 for 95 per cent"));
        }
        // The share counts from the end in a descending order.
        let nth = |at: usize| &values[if descending { last - at.min(last) } else { at.min(last) }];
        if what.starts_with("disc") {
            let rank = libm::ceil(share * values.len() as f64) as usize;
            return Ok(nth(rank.saturating_sub(1)).clone());
        }
        let place = share * last as f64;
        let below = libm::floor(place);
        let (low, high) = (number(nth(below as usize))?, number(nth(below as usize + 1))?);
        Ok(Value::Float(low + (high - low) * (place - below)))
    }
}

/// The first of those that occur most often among sorted values; the last in a descending order.
fn most_frequent(values: &[Value], descending: bool) -> Value {
    let (mut found, mut most) = (&Value::Null, 0);
    for run in values.chunk_by(|a, b| super::order(a, b).is_eq()) {
        if run.len() > most || descending && run.len() == most {
            (found, most) = (&run[0], run.len());
        }
    }
    found.clone()
}
