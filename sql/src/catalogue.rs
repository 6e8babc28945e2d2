//! What tables there are: PostgreSQL's types of their columns, their keys, and what SQLite does not keep.

use std::collections::{BTreeMap, BTreeSet};

use crate::types::Type;

/// Tables, views, indexes and sequences by their names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Catalogue {
    pub tables: BTreeMap<String, Table>,
    pub views: BTreeMap<String, View>,
    pub indexes: BTreeMap<String, Index>,
    pub sequences: BTreeMap<String, usize>,
    /// Tables that there ever were: the number of the next one.
    pub numbers: usize,
    /// Sequences that there ever were.
    pub sequence_numbers: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// Never used twice.
    pub number: usize,
    pub columns: Vec<Column>,
    /// The column that is SQLite's rowid.
    pub rowid: Option<usize>,
    pub foreign: Vec<Foreign>,
}

#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub name: String,
    pub kind: Type,
    pub not_null: bool,
    /// As SQLite reads it.
    pub default: Option<String>,
    /// The sequence that gives its values.
    pub sequence: Option<usize>,
    /// GENERATED ALWAYS AS IDENTITY: no value can be given.
    pub always: bool,
    /// It is SQLite's rowid.
    pub is_rowid: bool,
    /// GENERATED ALWAYS AS (…) STORED: its values follow from the others of the row.
    pub generated: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct View {
    pub outputs: Vec<Output>,
    /// The tables that it reads.
    pub tables: Vec<String>,
    /// The views that it names.
    pub views: BTreeSet<String>,
    pub body: Body,
}

/// How large a view, a common table expression or a subquery is, once it is written out wherever it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    /// Bytes of its text, with all that it reads written out.
    pub size: usize,
    /// The SELECTs that SQLite may make a query around it into: one for each part of a UNION ALL.
    pub arms: usize,
}

impl Body {
    /// A table stands for itself.
    pub(crate) const TABLE: Self = Self { size: 0, arms: 1 };
}

#[derive(Clone, Debug)]
pub(crate) struct Foreign {
    pub name: String,
    pub columns: Vec<String>,
    pub parent: String,
    pub parent_columns: Vec<String>,
    /// What its rows lose when a row that they refer to goes away; nothing where that is refused.
    pub on_delete: Option<Loss>,
    /// The same when the row gets another key.
    pub on_update: Option<Loss>,
}

/// What a change takes from those that refer to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Loss {
    Row,
    Key,
}

impl Foreign {
    pub(crate) fn follows(&self, loss: Loss) -> Option<Loss> {
        match loss {
            Loss::Row => self.on_delete,
            Loss::Key => self.on_update,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Index {
    pub table: String,
    pub unique: bool,
    /// It belongs to a constraint: PRIMARY KEY or UNIQUE.
    pub constraint: bool,
    pub primary: bool,
    /// Names of columns and texts of expressions, as SQLite reads them, without their order.
    pub keys: Vec<String>,
    /// The names of columns alone; none if it has expressions.
    pub columns: Option<Vec<String>>,
    /// The condition of a partial index, as SQLite reads it.
    pub predicate: Option<String>,
    /// What creates it, as SQLite reads it. None for the rowid.
    pub create: Option<String>,
}

/// A column of a table, a view or a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub name: String,
    pub kind: Type,
    pub not_null: bool,
    /// Bits of its whole numbers, with their sign.
    pub bits: u32,
    /// Bytes of the expression that SQLite may write in its place. A column of a table stands for itself.
    pub size: usize,
}

impl Output {
    /// A column that stands for itself.
    pub(crate) fn plain(name: String, kind: Type, not_null: bool) -> Self {
        Self { name, kind, not_null, bits: kind.bits(), size: 0 }
    }
}

impl Table {
    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    pub(crate) fn outputs(&self) -> Vec<Output> {
        let output = |column: &Column| Output::plain(column.name.clone(), column.kind, column.not_null);
        self.columns.iter().map(output).collect()
    }
}

impl Catalogue {
    pub(crate) fn has_relation(&self, name: &str) -> bool {
        self.tables.contains_key(name)
            || self.views.contains_key(name)
            || self.indexes.contains_key(name)
            || self.sequences.contains_key(name)
    }

    /// Whether one of `views` reads the view `name`, by way of others too, or is it.
    pub(crate) fn reads_view(&self, views: &BTreeSet<String>, name: &str) -> bool {
        let mut reached = views.clone();
        let mut open: Vec<&String> = views.iter().collect();
        while let Some(view) = open.pop() {
            for other in self.views.get(view).iter().flat_map(|view| &view.views) {
                if reached.insert(other.clone()) {
                    open.push(other);
                }
            }
        }
        reached.contains(name)
    }

    pub(crate) fn relations(&self) -> usize {
        self.tables.len() + self.views.len() + self.indexes.len() + self.sequences.len()
    }

    pub(crate) fn indexes_of<'a>(&'a self, table: &'a str) -> impl Iterator<Item = (&'a String, &'a Index)> {
        self.indexes.iter().filter(move |(_, index)| index.table == table)
    }

    pub(crate) fn table_numbered(&self, number: usize) -> Option<(&String, &Table)> {
        self.tables.iter().find(|(_, table)| table.number == number)
    }

    /// Whether an UPDATE of `columns` changes a key that others may refer to.
    pub(crate) fn touches_key(&self, table: &str, columns: &[String]) -> bool {
        self.indexes_of(table).filter(|(_, index)| index.unique).any(|(_, index)| match &index.columns {
            Some(keys) => keys.iter().any(|key| columns.contains(key)),
            None => true,
        })
    }

    /// `base`, or with the first number behind it that makes it new, as PostgreSQL names indexes.
    pub(crate) fn free_name(&self, base: String) -> String {
        if !self.has_relation(&base) {
            return base;
        }
        let mut number = 1;
        while self.has_relation(&format!("{base}{number}")) {
            number += 1;
        }
        format!("{base}{number}")
    }

    /// A table has another name: indexes, references and views follow.
    pub(crate) fn follow(&mut self, old: &str, new: &str) {
        let renamed = |name: &mut String| {
            if name == old {
                new.clone_into(name);
            }
        };
        let (old_on, new_on) = (format!(" ON \"{old}\" ("), format!(" ON \"{new}\" ("));
        for index in self.indexes.values_mut().filter(|index| index.table == old) {
            index.create = index.create.take().map(|text| text.replacen(&old_on, &new_on, 1));
        }
        self.indexes.values_mut().for_each(|index| renamed(&mut index.table));
        let foreign = self.tables.values_mut().flat_map(|table| &mut table.foreign);
        foreign.for_each(|foreign| renamed(&mut foreign.parent));
        self.views.values_mut().flat_map(|view| &mut view.tables).for_each(renamed);
    }

    /// A column has another name: keys and references follow.
    pub(crate) fn rename_column(&mut self, table: &str, old: &str, new: &str) {
        let renamed = |name: &mut String| {
            if name == old {
                new.clone_into(name);
            }
        };
        if let Some(table) = self.tables.get_mut(table) {
            table.columns.iter_mut().for_each(|column| renamed(&mut column.name));
            table.foreign.iter_mut().flat_map(|foreign| &mut foreign.columns).for_each(renamed);
        }
        for other in self.tables.values_mut() {
            let foreign = other.foreign.iter_mut().filter(|foreign| foreign.parent == table);
            foreign.flat_map(|foreign| &mut foreign.parent_columns).for_each(renamed);
        }
        let (old_key, new_key) = (format!("\"{old}\""), format!("\"{new}\""));
        for index in self.indexes.values_mut().filter(|index| index.table == table) {
            index.columns.iter_mut().flatten().for_each(renamed);
            index.keys.iter_mut().for_each(|key| *key = key.replace(&old_key, &new_key));
            let texts = index.create.iter_mut().chain(&mut index.predicate);
            texts.for_each(|text| *text = text.replace(&old_key, &new_key));
        }
    }
}
