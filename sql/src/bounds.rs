//! Every bound of a database, in one place. A bound that is reached is a [`Failure`](crate::Failure) with a
//! name. What a call of a function counts stands in `price`.

/// What a database may use. The defaults suit a simulated database of some hundred thousand rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of a statement's text, and of each statement of a schema.
    pub statement_bytes: usize,
    /// Bytes of a schema file.
    pub schema_bytes: usize,
    /// Tokens between two commas, which is what the depth of an expression can grow to.
    pub chain_tokens: usize,
    /// How deep subqueries and parentheses may be nested.
    pub depth: usize,
    /// Columns of a result, and terms of a GROUP BY or an ORDER BY.
    pub result_columns: usize,
    /// Columns of a table or a view.
    pub columns: usize,
    /// Tables, views and subqueries that one FROM joins.
    pub joined: usize,
    /// Bytes of a statement as SQLite takes it: views, common table expressions, `*` and the columns of
    /// subqueries written out wherever they stand.
    pub expanded_bytes: usize,
    /// Parameters of a statement, and values of a row.
    pub parameters: usize,
    /// Bytes of one value and one row.
    pub value_bytes: usize,
    /// Rows of a result.
    pub rows: usize,
    /// Bytes of a result.
    pub result_bytes: usize,
    /// What a statement may take, as [`Work::effort`](crate::Work::effort) counts it. Its
    /// [`Call`](crate::Call) may bound its steps, too.
    pub steps: u64,
    /// The same of all statements of a schema.
    pub schema_steps: u64,
    /// Bytes of the tables and indexes of a database.
    pub database_bytes: usize,
    /// Bytes that one statement may hold, above all to sort and for temporary results: a row for each time
    /// that it can have gone round in its program, each as long as the longest that it meets. One that could
    /// hold more fails with 53200.
    pub held_bytes: u64,
    /// Bytes that SQLite may use for all databases of this process, which it cannot count for one database
    /// alone. The smallest that a database was opened with holds; a statement that reaches it fails with
    /// 53200.
    pub heap_bytes: u64,
    /// Rows that the open transactions have locked or written, all together.
    pub locks: usize,
    /// Open transactions.
    pub transactions: usize,
    /// Savepoints of a transaction.
    pub savepoints: usize,
    /// Bytes of the cache of parsed statements.
    pub cache_bytes: usize,
    /// Tables, views, indexes and sequences of a database, all together.
    pub relations: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            statement_bytes: 128 << 10,
            schema_bytes: 4 << 20,
            chain_tokens: 1_000,
            depth: 40,
            result_columns: 1_664,
            columns: 1_600,
            joined: 64,
            expanded_bytes: 1_000_000,
            parameters: 10_000,
            value_bytes: 1_000_000,
            rows: 100_000,
            result_bytes: 16 << 20,
            steps: 50_000_000,
            schema_steps: 100_000_000,
            database_bytes: 256 << 20,
            held_bytes: 512 << 20,
            heap_bytes: 2 << 30,
            locks: 500_000,
            transactions: 10_000,
            savepoints: 32,
            cache_bytes: 1 << 20,
            relations: 2_000,
        }
    }
}

/// How long a value or a row is at most, in bytes, where a statement begins; when it meets a longer one it
/// runs again with the next length, and at last with `value_bytes`.
pub(crate) const LENGTHS: [usize; 6] = [1_000, 8_000, 64_000, 256_000, 400_000, 640_000];

/// The lengths with which a statement runs again that could hold too many rows of the first of those. SQLite
/// takes no shorter ones.
pub(crate) const SHORT_LENGTHS: [usize; 3] = [30, 100, 300];

/// The fewest steps that it takes to put a row into a temporary result, while the program of the statement is
/// not read: to read a column, make a row, insert it, and go on to the next.
pub(crate) const STEPS_PER_HELD_ROW: u64 = 4;

/// Instructions of a program that is read for the steps that a row of its temporary results takes.
pub(crate) const INSTRUCTIONS_READ: usize = 1_000;

/// Bytes of a row of a temporary result, beside its values: 16 of the sorter and up to 7 of rounding, by
/// SQLite's source. A B-tree takes fewer.
pub(crate) const ROW_BYTES: usize = 24;

/// Bytes of such a length that count as one step more for each step: what a step reads, copies and compares
/// is at most that long.
pub(crate) const BYTES_PER_WEIGHT: usize = 500;

/// What ALTER TABLE takes for each byte of the schema, which it parses several times, in steps.
pub(crate) const STEPS_PER_SCHEMA_BYTE: u64 = 4;

/// Sets of a GROUP BY, times those of the GROUP BY around it: each reads the rows anew.
pub(crate) const GROUPING_SETS: usize = 64;

/// Queries of a WITH that changes rows.
pub(crate) const PARTS: usize = 32;

/// Prepared statements that SQLite keeps for a database.
pub(crate) const PREPARED: usize = 128;

/// Statements of which it is remembered whether they would use an index that is dropped for a time.
pub(crate) const MISSED: usize = 1_000;

/// Steps between two looks at whether a statement may go on.
pub(crate) const STEPS_PER_LOOK: i32 = 1_000;

/// Bytes of a pattern of LIKE: matching takes the product of text and pattern.
pub(crate) const PATTERN_BYTES: i32 = 1_000;

/// What it takes to keep a row of a transaction while SQLite serves another one, or to give it back: steps.
pub(crate) const STEPS_PER_MOVED_ROW: u64 = 100;

/// Instructions of a statement as SQLite compiles it.
pub(crate) const INSTRUCTIONS: i32 = 2_500_000;

/// What a `*` adds to the size of a statement for each of its columns, in bytes.
pub(crate) const STAR_BYTES: usize = 16;

/// What translating a statement may take, in comparisons of the names of columns.
pub(crate) const EFFORT: usize = 500_000_000;

/// What copying the description of a column takes, in comparisons.
pub(crate) const EFFORT_PER_COPY: usize = 32;

/// What describing a query takes, in comparisons.
pub(crate) const EFFORT_PER_QUERY: usize = 4_000;

/// Bytes of a page: `database_bytes` is counted in them.
pub(crate) const PAGE_BYTES: usize = 4_096;

/// Characters of a query summary, by the conventions.
pub(crate) const SUMMARY_CHARACTERS: usize = 255;
