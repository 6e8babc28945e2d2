//! DROP.

use std::collections::BTreeSet;

use sqlparser::ast::ObjectType;

use super::{Change, Ddl, Translator};
use crate::catalogue::Catalogue;
use crate::error::{Failure, Result, sqlstate};
use crate::lock::TableMode;
use crate::translate::quoted;

impl Translator<'_> {
    pub(super) fn drop_one(
        &mut self,
        kind: ObjectType,
        name: &str,
        if_exists: bool,
        cascade: bool,
        all: &BTreeSet<String>,
        ddl: &mut Ddl,
    ) -> Result<()> {
        let catalogue: &Catalogue = self.catalogue;
        let missing = |what: &str| match if_exists {
            true => Ok(()),
            false => {
                let message = format!("{what} \"{name}\" does not exist");
                let code =
                    if what == "index" { sqlstate::UNDEFINED_OBJECT } else { sqlstate::UNDEFINED_TABLE };
                let hint = format!("write DROP {} IF EXISTS", what.to_uppercase());
                Err(Failure::new(code, message).hint(hint))
            }
        };
        match kind {
            ObjectType::Table => {
                if !catalogue.tables.contains_key(name) {
                    return missing("table");
                }
                let child = catalogue.tables.iter().find(|(other, table)| {
                    !all.contains(*other) && table.foreign.iter().any(|foreign| foreign.parent == name)
                });
                let view =
                    catalogue.views.iter().find(|(_, view)| view.tables.iter().any(|table| table == name));
                if let Some(dependent) = child.map(|(name, _)| name).or(view.map(|(name, _)| name)) {
                    let message = format!("cannot drop table {name} because other objects depend on it");
                    let hint = format!(
                        "drop {dependent} first{}",
                        if cascade { ": CASCADE is not supported" } else { "" }
                    );
                    return Err(Failure::new("2BP01", message).hint(hint));
                }
                ddl.statements.push(format!("DROP TABLE {}", quoted(name)));
                ddl.tables.push((name.to_owned(), TableMode::AccessExclusive));
                ddl.changes.push(Change::DropTable(name.to_owned()));
            }
            ObjectType::Index => {
                let Some(index) = catalogue.indexes.get(name) else { return missing("index") };
                if index.constraint {
                    let message = format!(
                        "cannot drop index {name} because a constraint of table {} requires it",
                        index.table
                    );
                    return Err(Failure::new("2BP01", message).hint("it goes with its table"));
                }
                ddl.statements.push(format!("DROP INDEX {}", quoted(name)));
                ddl.tables.push((index.table.clone(), TableMode::AccessExclusive));
                ddl.changes.push(Change::DropIndex(name.to_owned()));
            }
            ObjectType::View => {
                if !catalogue.views.contains_key(name) {
                    return missing("view");
                }
                let mut others = catalogue.views.iter().filter(|(other, _)| !all.contains(*other));
                if let Some((dependent, _)) = others.find(|(_, view)| view.views.contains(name)) {
                    let message = format!("cannot drop view {name} because other objects depend on it");
                    return Err(Failure::new("2BP01", message).hint(format!("drop {dependent} first")));
                }
                ddl.statements.push(format!("DROP VIEW {}", quoted(name)));
                ddl.changes.push(Change::DropView(name.to_owned()));
            }
            ObjectType::Sequence => {
                if !catalogue.sequences.contains_key(name) {
                    return missing("sequence");
                }
                ddl.changes.push(Change::DropSequence(name.to_owned()));
            }
            other => {
                let hint = "drop tables, indexes, views and sequences";
                return Err(Failure::unsupported(format!("DROP {other}"), hint));
            }
        }
        Ok(())
    }
}
