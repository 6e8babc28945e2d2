//! The tables that list the tables: `information_schema`, and the simple ones of `pg_catalog`.

use sqlparser::ast::{ObjectName, TableAlias, TableFactor};

use super::{Relation, Translator, folded, literal, quoted};
use crate::catalogue::{Body, Catalogue, Column, Output};
use crate::types::Type;

/// A table of the system: its schema, its name, and its columns.
type View = (&'static str, &'static str, &'static [(&'static str, Type)]);

const VIEWS: [View; 5] = [
    ("information_schema", "schemata", &[("catalog_name", Type::Text), ("schema_name", Type::Text)]),
    (
        "information_schema",
        "tables",
        &[
            ("table_catalog", Type::Text),
            ("table_schema", Type::Text),
            ("table_name", Type::Text),
            ("table_type", Type::Text),
        ],
    ),
    (
        "information_schema",
        "columns",
        &[
            ("table_catalog", Type::Text),
            ("table_schema", Type::Text),
            ("table_name", Type::Text),
            ("column_name", Type::Text),
            ("ordinal_position", Type::Int4),
            ("is_nullable", Type::Text),
            ("data_type", Type::Text),
            ("character_maximum_length", Type::Int4),
        ],
    ),
    ("pg_catalog", "pg_tables", &[("schemaname", Type::Text), ("tablename", Type::Text)]),
    (
        "pg_catalog",
        "pg_indexes",
        &[("schemaname", Type::Text), ("tablename", Type::Text), ("indexname", Type::Text)],
    ),
];

/// The table of the system that a name means; those of `pg_catalog` need no schema.
fn view(name: &ObjectName) -> Option<&'static View> {
    let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(folded).collect();
    VIEWS.iter().find(|(schema, table, _)| match parts.as_slice() {
        [only] => *schema == "pg_catalog" && only == table,
        [of, only] => of == schema && only == table,
        _ => false,
    })
}

/// A table of the system in a FROM.
pub(super) struct Named {
    name: &'static str,
    /// Its alias, or its name.
    known: String,
    /// The columns, with the names that the alias gives them.
    columns: Vec<(String, Type)>,
    is_qualified: bool,
}

/// The table of the system that a part of a FROM names.
fn of(factor: &TableFactor) -> Option<Named> {
    let TableFactor::Table { name, alias, args: None, sample: None, .. } = factor else { return None };
    let found = view(name)?;
    let alias_of = |alias: &TableAlias| folded(&alias.name);
    let known = alias.as_ref().map_or_else(|| found.1.to_owned(), alias_of);
    let given: Vec<String> =
        alias.iter().flat_map(|alias| &alias.columns).map(|column| folded(&column.name)).collect();
    let columns = found.2.iter().enumerate();
    let columns = columns
        .map(|(at, (name, kind))| (given.get(at).cloned().unwrap_or_else(|| (*name).to_owned()), *kind));
    Some(Named { name: found.1, known, columns: columns.collect(), is_qualified: name.0.len() > 1 })
}

pub(super) fn relation(named: Named) -> Relation {
    let output = |(name, kind): (String, Type)| Output::plain(name, kind, false);
    Relation {
        alias: named.known,
        table: None,
        outputs: named.columns.into_iter().map(output).collect(),
        body: Body::TABLE,
        pending: false,
        sources: None,
    }
}

impl Translator<'_> {
    /// The table of the system that stands in a FROM. A table or a WITH may have its name, but not with the
    /// name of its schema before it.
    pub(super) fn system_of(&self, factor: &TableFactor) -> Option<Named> {
        of(factor).filter(|named| named.is_qualified || !self.hides(named.name))
    }

    /// Writes the rows of a table of the system.
    pub(super) fn system(&mut self, named: &Named) {
        let Named { name, known, columns, .. } = named;
        self.reads_system = true;
        let names: Vec<String> = columns.iter().map(|(name, _)| quoted(name)).collect();
        let rows = rows(name, self.catalogue);
        let values: Vec<String> = rows.into_iter().map(|row| format!("({})", row.join(", "))).collect();
        let source = match values.is_empty() {
            true => format!("SELECT {} WHERE FALSE", vec!["NULL"; columns.len()].join(", ")),
            false => format!("VALUES {}", values.join(", ")),
        };
        self.put(&format!("(WITH \"pg_columns\"({}) AS ({source}) ", names.join(", ")));
        self.put(&format!("SELECT * FROM \"pg_columns\") AS {}", quoted(known)));
    }
}

fn rows(name: &str, catalogue: &Catalogue) -> Vec<Vec<String>> {
    let (database, schema) = (literal("postgres"), literal("public"));
    match name {
        "schemata" => vec![vec![database, schema]],
        "tables" => {
            let tables = catalogue.tables.keys().map(|name| (name, "BASE TABLE"));
            let views = catalogue.views.keys().map(|name| (name, "VIEW"));
            let row = |(name, kind): (&String, &str)| {
                vec![database.clone(), schema.clone(), literal(name), literal(kind)]
            };
            tables.chain(views).map(row).collect()
        }
        "columns" => {
            let of_tables = catalogue.tables.iter().flat_map(|(table, found)| {
                let row = |(at, column): (usize, &Column)| {
                    column_row(table, at, &column.name, column.kind, column.not_null)
                };
                found.columns.iter().enumerate().map(row).collect::<Vec<_>>()
            });
            let of_views = catalogue.views.iter().flat_map(|(view, found)| {
                let row =
                    |(at, output): (usize, &Output)| column_row(view, at, &output.name, output.kind, false);
                found.outputs.iter().enumerate().map(row).collect::<Vec<_>>()
            });
            let before = [database, schema];
            let rows = of_tables.chain(of_views);
            rows.map(|row| before.iter().cloned().chain(row).collect()).collect()
        }
        "pg_tables" => catalogue.tables.keys().map(|name| vec![schema.clone(), literal(name)]).collect(),
        _ => {
            let row = |(name, index): (&String, &crate::catalogue::Index)| {
                vec![schema.clone(), literal(&index.table), literal(name)]
            };
            catalogue.indexes.iter().map(row).collect()
        }
    }
}

fn column_row(table: &str, at: usize, name: &str, kind: Type, not_null: bool) -> [String; 6] {
    let length = match kind {
        Type::Varchar(Some(length)) | Type::Char(length) => length.to_string(),
        _ => "NULL".to_owned(),
    };
    let yes = |truth: bool| literal(if truth { "YES" } else { "NO" });
    [literal(table), literal(name), (at + 1).to_string(), yes(!not_null), literal(kind.name()), length]
}
