//! The contract as it is today, generated from the WIT file.

#![allow(missing_debug_implementations, reason = "generated")]

/// A call under way: a number of the worker's own.
#[derive(Debug)]
pub struct Pending;

/// A span that the guest holds: a number of the worker's own.
#[derive(Debug)]
pub struct Span;

/// An instrument for whole numbers that the guest holds: its number among those of the replica.
#[derive(Debug)]
pub struct IntInstrument;

/// The same for fractions.
#[derive(Debug)]
pub struct FloatInstrument;

/// A transaction that the guest holds: a number of the worker's own.
#[derive(Debug)]
pub struct Transaction;

wasmtime::component::bindgen!({
    path: "assets/wit",
    world: "guest",
    imports: {
        "simhost:service/bus.call": async | trappable,
        "simhost:service/bus.[method]pending.wait": async | trappable,
        "simhost:service/clock.sleep": async | trappable,
        "simhost:service/sql.query": async | trappable,
        "simhost:service/sql.last-work": async | trappable,
        "simhost:service/sql.[static]transaction.begin": async | trappable,
        "simhost:service/sql.[method]transaction.query": async | trappable,
        "simhost:service/sql.[method]transaction.commit": async | trappable,
        "simhost:service/sql.[method]transaction.rollback": async | trappable,
        "simhost:service/cache.get": async | trappable,
        "simhost:service/cache.get-many": async | trappable,
        "simhost:service/cache.set": async | trappable,
        "simhost:service/cache.delete": async | trappable,
        "simhost:service/cache.increment": async | trappable,
        "simhost:service/messaging.send": async | trappable,
        "simhost:service/messaging.send-batch": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    with: {
        "simhost:service/bus.pending": Pending,
        "simhost:service/tracing.span": Span,
        "simhost:service/metrics.int-instrument": IntInstrument,
        "simhost:service/metrics.float-instrument": FloatInstrument,
        "simhost:service/sql.transaction": Transaction,
    },
});
