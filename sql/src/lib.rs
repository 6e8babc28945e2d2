//! The SQL engine behind simhost's databases: PostgreSQL's dialect, types, errors and row locks over SQLite.
//!
//! It is synchronous, for one thread at a time, and reads no clock: the time is an argument, chance comes
//! from a seed, and waiting is the caller's. The same calls give the same results and the same [`Work`] on
//! every machine.
//!
//! Start here: [`Database::open`], then [`Database::prepare`] and [`Database::execute`].
//!
//! | module | what |
//! |---|---|
//! | `database` | schema; transactions and their rows; `execute`: how a statement is executed |
//! | `statement` | statements, parsed once, and the cache of them |
//! | `text`, `script` | a statement as text: tokens, summary, the text without its values; several of them |
//! | `place` | where a failure stands in its statement |
//! | `translate` | PostgreSQL's statements as SQLite's, by parts; what has no rule is refused |
//! | `catalogue` | tables, columns, keys and indexes, with PostgreSQL's types |
//! | `types`, `time`, `value` | types, timestamps and intervals, values |
//! | `functions` | functions that SQLite has not, or has with another meaning |
//! | `regex` | regular expressions, each visit of a state counted |
//! | `price` | what a call of a function counts |
//! | `lock` | locks of rows, keys and tables, and who waits for whom |
//! | `engine`, `state` | SQLite, confined and counted; what its callbacks share with the database |
//! | `program` | how many steps a row of a temporary result takes at least, by SQLite's program |
//! | `failure`, `error` | SQLite's errors as PostgreSQL's |
//! | `bounds` | every bound |
#![doc = include_str!("differences.md")]

mod bounds;
mod catalogue;
mod database;
mod engine;
mod error;
mod failure;
mod functions;
mod lock;
mod place;
mod price;
mod program;
mod regex;
mod script;
mod state;
mod statement;
mod text;
mod time;
mod translate;
mod types;
mod value;

pub use bounds::Bounds;
pub use database::{Blocked, Call, Database, Done, Ended, Failed, IndexInfo, Options, Outcome, TableInfo};
pub use engine::Work;
pub use error::{Failure, Place, Problem, sqlstate};
pub use lock::{TableMode, Transaction};
pub use script::{Part, statements};
pub use state::Interrupt;
pub use statement::{Class, Column, Statement, described};
pub use translate::Control;
pub use types::Type;
pub use value::Value;
