//! Rows of a result, for a person and for a program.

use simhost_sql::{Done, Value};

use crate::telemetry::console::Style;
use crate::telemetry::console::text::{safe, shorten, width};

/// Columns that a value keeps in a table; where there is no room for as many, each row has lines of its own.
const LEAST: usize = 8;

/// Between two columns.
const GAP: &str = " | ";

/// A result as a table that fits a `page` of so many columns: numbers to the right, as psql has them. Empty
/// without columns.
pub fn drawn(done: &Done, page: usize, style: Style) -> String {
    if done.columns.is_empty() {
        return String::new();
    }
    let shown = |text: &str| safe(text, style.unicode);
    let heads: Vec<String> = done.columns.iter().map(|column| shown(&column.name)).collect();
    let cells: Vec<Vec<String>> =
        done.rows.iter().map(|row| row.iter().map(|value| shown(&cell(value))).collect()).collect();
    let widths: Vec<usize> = (0..heads.len())
        .map(|at| cells.iter().map(|row| width(&row[at])).fold(width(&heads[at]), usize::max))
        .collect();
    let ellipsis = if style.unicode { "…" } else { "..." };
    let Some(widths) = fitted(widths, page) else { return records(&heads, &cells, page, ellipsis) };
    let is_number = |at: usize| {
        done.rows.iter().all(|row| matches!(row[at], Value::Int(_) | Value::Float(_) | Value::Null))
    };
    let numbers: Vec<bool> = (0..heads.len()).map(is_number).collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().enumerate().map(|(at, text)| {
            let text = shorten(text, widths[at], ellipsis);
            let blanks = " ".repeat(widths[at] - width(&text));
            if numbers[at] { format!("{blanks}{text}") } else { format!("{text}{blanks}") }
        });
        padded.collect::<Vec<_>>().join(GAP).trim_end().to_owned() + "\n"
    };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let mut text = line(&heads) + &rule.join("-+-") + "\n";
    cells.iter().for_each(|row| text.push_str(&line(row)));
    text
}

/// The widths of columns that fit the page together: the widest give most. None if they cannot.
fn fitted(mut widths: Vec<usize>, page: usize) -> Option<Vec<usize>> {
    let room = page.saturating_sub(GAP.len() * (widths.len() - 1));
    while widths.iter().sum::<usize>() > room {
        let (widest, most) = (0..widths.len()).map(|at| (at, widths[at])).max_by_key(|(_, most)| *most)?;
        if most <= LEAST {
            return None;
        }
        widths[widest] -= 1;
    }
    Some(widths)
}

/// Each row in lines of its own, a line for each column.
fn records(heads: &[String], cells: &[Vec<String>], page: usize, ellipsis: &str) -> String {
    let name = heads.iter().map(|head| width(head)).fold(0, usize::max).min(page / 2);
    let room = page.saturating_sub(name + GAP.len());
    let mut text = String::new();
    for (number, row) in (1..).zip(cells) {
        text.push_str(&format!("row {number}\n"));
        for (head, cell) in heads.iter().zip(row) {
            let head = shorten(head, name, ellipsis);
            let blanks = " ".repeat(name - width(&head));
            let line = format!("{head}{blanks}{GAP}{}", shorten(cell, room, ellipsis));
            text.extend([line.trim_end(), "\n"]);
        }
    }
    text
}

/// A value as a table has it.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::Bytes(bytes) => hexadecimal(bytes),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold("\\x".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// A result as JSON: a line with an object for each row, its keys the columns. A name that another column
/// has already gets a number.
pub fn json(done: &Done) -> String {
    let mut keys: Vec<String> = Vec::new();
    for column in done.columns.iter() {
        let numbered = |number: usize| match number {
            1 => column.name.clone(),
            more => format!("{}_{more}", column.name),
        };
        let free = (1..).map(numbered).find(|name| !keys.contains(name));
        keys.extend(free);
    }
    let row = |row: &Vec<Value>| {
        let pairs = keys.iter().zip(row).map(|(key, value)| format!("{}:{}", quoted(key), of_json(value)));
        format!("{{{}}}\n", pairs.collect::<Vec<_>>().join(","))
    };
    done.rows.iter().map(row).collect()
}

fn of_json(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        // JSON has no infinity, and nothing that is not a number.
        Value::Float(number) => {
            serde_json::Number::from_f64(*number).map_or("null".to_owned(), |n| n.to_string())
        }
        Value::Text(text) => quoted(text),
        Value::Bytes(bytes) => quoted(&hexadecimal(bytes)),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_columns_give_way_until_all_fit() {
        assert_eq!(fitted(vec![4, 10], 80), Some(vec![4, 10]));
        assert_eq!(fitted(vec![4, 100], 80), Some(vec![4, 73]));
        assert_eq!(fitted(vec![60, 100], 83), Some(vec![40, 40]));
        assert_eq!(fitted(vec![20; 8], 80), None, "less than eight columns each");
        assert_eq!(fitted(vec![2; 12], 60), Some(vec![2; 12]));
    }
}
