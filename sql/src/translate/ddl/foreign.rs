//! FOREIGN KEY and REFERENCES.

use sqlparser::ast::{ForeignKeyConstraint, ReferentialAction};

use super::Translator;
use super::create_table::Draft;
use crate::catalogue::{Foreign, Index, Loss};
use crate::error::{Failure, Result, sqlstate};
use crate::translate::relation::names;
use crate::translate::{folded, quoted, relation_name, undefined_column, undefined_table};

impl Translator<'_> {
    pub(super) fn foreign(&mut self, constraint: &ForeignKeyConstraint, draft: &mut Draft) -> Result<()> {
        let columns = names(&constraint.columns);
        if let Some(missing) = columns.iter().find(|name| draft.table.column(name).is_none()) {
            return Err(undefined_column(missing));
        }
        let parent = relation_name(&constraint.foreign_table)?;
        let place =
            constraint.foreign_table.0.first().and_then(|part| part.as_ident()).map(|name| name.span.start);
        let at = |failure: Failure| match place {
            Some(place) => failure.at(place.line, place.column),
            None => failure,
        };
        let indexes: Vec<&Index> = if parent == draft.name {
            draft.indexes.iter().map(|(_, index)| index).collect()
        } else if self.catalogue.tables.contains_key(&parent) {
            self.catalogue.indexes_of(&parent).map(|(_, index)| index).collect()
        } else {
            return Err(at(undefined_table(&parent).hint("create the table that is referred to first")));
        };
        if constraint.characteristics.is_some() {
            return Err(at(Failure::unsupported(
                "DEFERRABLE",
                "leave it out: keys are checked by each statement",
            )));
        }
        let mut parent_columns = names(&constraint.referred_columns);
        if parent_columns.is_empty() {
            let primary = indexes.iter().find(|index| index.primary);
            parent_columns = primary.and_then(|index| index.columns.clone()).unwrap_or_default();
        }
        let unique =
            indexes.iter().any(|index| index.unique && index.columns.as_ref() == Some(&parent_columns));
        if !unique || parent_columns.len() != columns.len() {
            let message = format!(
                "there is no unique constraint matching given keys for referenced table \"{parent}\""
            );
            let hint = "refer to its primary key, or to columns that are UNIQUE";
            return Err(at(Failure::new(sqlstate::INVALID_FOREIGN_KEY, message).hint(hint)));
        }
        let name = constraint.name.as_ref().map(folded);
        let name = name.unwrap_or_else(|| format!("{}_{}_fkey", draft.name, columns.join("_")));
        let list =
            |columns: &[String]| columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ");
        let action = |word: &str, action: Option<ReferentialAction>| {
            action.map_or(String::new(), |action| format!(" ON {word} {action}"))
        };
        draft.parts.push(format!(
            "CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}){}{}",
            quoted(&name),
            list(&columns),
            quoted(&parent),
            list(&parent_columns),
            action("DELETE", constraint.on_delete),
            action("UPDATE", constraint.on_update),
        ));
        let [on_delete, on_update] = [(constraint.on_delete, Loss::Row), (constraint.on_update, Loss::Key)]
            .map(|(action, loss)| match action {
                Some(ReferentialAction::Cascade) => Some(loss),
                Some(ReferentialAction::SetNull | ReferentialAction::SetDefault) => Some(Loss::Key),
                Some(ReferentialAction::NoAction | ReferentialAction::Restrict) | None => None,
            });
        draft.table.foreign.push(Foreign { name, columns, parent, parent_columns, on_delete, on_update });
        Ok(())
    }
}
