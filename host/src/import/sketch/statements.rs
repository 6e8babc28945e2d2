//! The statements of a route as the scripted guest has them: `SELECT name FROM items WHERE id = {id}`.

use super::super::path;
use super::super::schema::TIME;
use super::super::sql::{Fill, Kind, Piece, Shape, Value};
use super::databases::{Asking, Database};
use super::stores::Stores;

/// Rows of a result that a statement with a bound of its own gets.
const PAGE: &str = "{20..20}";

/// The database of a route and its statements; `own` is the route's path, none where it stands for messages.
pub fn written(asking: &Asking, stores: &Stores, own: &str, is_of_messages: bool) -> (String, Vec<String>) {
    let database = &stores.databases[asking.database];
    let own = if is_of_messages { "" } else { own };
    let statements = asking.statements.iter().flat_map(|(number, times)| {
        let text = database.shapes.get(number).map(|shape| statement(shape, database, own));
        std::iter::repeat_n(text, *times).flatten()
    });
    (database.name.clone(), statements.collect())
}

fn statement(shape: &Shape, database: &Database, own: &str) -> String {
    let lookups = shape.pieces.iter().filter_map(|piece| match piece {
        Piece::Value(Value { fill: Fill::Lookup, column: Some(column) }) => Some(column),
        _ => None,
    });
    let mut lookups: Vec<_> = lookups.collect();
    lookups.dedup();
    let is_single = lookups.len() == 1;
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Value(value) => filled(value, shape, database, own, is_single),
    };
    shape.pieces.iter().map(piece).collect()
}

/// What stands for a value: a parameter of the path, or a number of a row.
fn filled(value: &Value, shape: &Shape, database: &Database, own: &str, is_single: bool) -> String {
    let named = |column: &str| {
        let parameters: Vec<&str> = path::parameters(own).collect();
        let same = parameters.iter().find(|name| name.eq_ignore_ascii_case(column));
        same.or_else(|| parameters.first().filter(|_| is_single && parameters.len() == 1)).copied()
    };
    let rows = database.schema.rows();
    let of_rows = || format!("{{1..{rows}}}");
    let Some((table, column)) = &value.column else {
        return match value.fill {
            Fill::Limit => PAGE.to_owned(),
            Fill::Offset => "{0..0}".to_owned(),
            _ => "{1..10}".to_owned(),
        };
    };
    let used = &shape.tables[*table];
    match (database.schema.kind(&used.name, column), value.fill) {
        (Kind::Time, _) => format!("{{pick:{TIME}}}"),
        (_, Fill::Lookup) => named(column).map_or_else(of_rows, |name| format!("{{{name}}}")),
        // Keys of new rows are rarely those of others.
        (_, Fill::Inserted) if used.unique.is_none() && database.schema.is_key(&used.name, column) => {
            "{1..1000000000}".to_owned()
        }
        _ => of_rows(),
    }
}
