//! What a statement takes from its database: chance, sequences, places of rows, locks.

use super::{Functions, VARYING, scalar};
use crate::error::{Failure, Result, sqlstate};
use crate::lock::Strength;
use crate::state::{Sequence, Shared};
use crate::value::Value;

pub(super) fn define(connection: &Functions<'_>) -> rusqlite::Result<()> {
    let shared = connection.shared;
    let of = shared.clone();
    scalar(connection, "pg_random", 0, VARYING, move |_| Ok(Value::Float(of.lock().chance.fraction())))?;
    let of = shared.clone();
    scalar(connection, "pg_uuid", 0, VARYING, move |_| {
        let mut state = of.lock();
        Ok(Value::Text(uuid(state.chance.draw(), state.chance.draw())))
    })?;
    let of = shared.clone();
    scalar(connection, "pg_rowid", 1, VARYING, move |args| {
        let mut state = of.lock();
        let last = number(args).and_then(|at| state.rowids.get_mut(at)).ok_or_else(lost)?;
        *last += 1;
        Ok(Value::Int(*last))
    })?;
    let of = shared.clone();
    scalar(connection, "pg_nextval", 2, VARYING, move |args| {
        with_sequence(&of, args, |sequence| Ok(sequence.next()))
    })?;
    let of = shared.clone();
    scalar(connection, "pg_currval", 2, VARYING, move |args| {
        with_sequence(&of, args, |sequence| {
            sequence.last.ok_or_else(|| {
                Failure::new(sqlstate::DATA_EXCEPTION, "currval of the sequence is not yet defined")
                    .hint("call nextval first")
            })
        })
    })?;
    let of = shared.clone();
    for count in [3, 4] {
        let of = of.clone();
        scalar(connection, "pg_setval", count, VARYING, move |args| {
            let Value::Int(value) = args[2] else { return Ok(Value::Null) };
            let is_called = !matches!(args.get(3), Some(Value::Int(0) | Value::Bool(false)));
            with_sequence(&of, args, |sequence| {
                sequence.next = if is_called { value.saturating_add(sequence.step) } else { value };
                sequence.last = if is_called { Some(value) } else { sequence.last };
                Ok(value)
            })
        })?;
    }
    for count in [1, 3] {
        let of = shared.clone();
        scalar(connection, "pg_kept", count, VARYING, move |args| Ok(kept(&of, args)))?;
    }
    let of = shared.clone();
    scalar(connection, "pg_unlocked", 3, VARYING, move |args| {
        let (Value::Int(table), Value::Int(rowid), Value::Int(strength)) = (&args[0], &args[1], &args[2])
        else {
            return Ok(Value::Bool(true));
        };
        let state = of.lock();
        let strength = Strength::of(*strength);
        let mut holders = state.locks.row_holders(state.current, (*table as u32, *rowid), strength);
        Ok(Value::Bool(holders.next().is_none()))
    })
}

fn number(args: &[Value]) -> Option<usize> {
    numbered(args, 0)
}

fn numbered(args: &[Value], at: usize) -> Option<usize> {
    match args.get(at) {
        Some(Value::Int(number)) => usize::try_from(*number).ok(),
        _ => None,
    }
}

/// A value of the rows that a part of the statement has given; without a row and a column, their number.
fn kept(shared: &Shared, args: &[Value]) -> Value {
    let state = shared.lock();
    let Some(rows) = number(args).and_then(|part| state.kept.get(part)) else { return Value::Null };
    if args.len() == 1 {
        return Value::Int(rows.len() as i64);
    }
    let row = numbered(args, 1).and_then(|row| rows.get(row));
    row.zip(numbered(args, 2)).and_then(|(row, at)| row.get(at)).cloned().unwrap_or(Value::Null)
}

fn lost() -> Failure {
    Failure::new(sqlstate::UNDEFINED_OBJECT, "the sequence or table is no longer there")
        .hint("prepare the statement again")
}

fn with_sequence(
    shared: &Shared,
    args: &[Value],
    take: impl FnOnce(&mut Sequence) -> Result<i64>,
) -> Result<Value> {
    let mut state = shared.lock();
    let sequence = number(args).and_then(|at| state.sequences.get_mut(at)).ok_or_else(lost)?;
    take(sequence).map(Value::Int)
}

/// Version 4, by RFC 9562.
fn uuid(high: u64, low: u64) -> String {
    let high = high & !0xf000 | 0x4000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}
