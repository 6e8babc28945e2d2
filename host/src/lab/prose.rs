//! Markdown for a terminal: its paragraphs and items fill the lines, and marks of emphasis are left out.

use crate::error::wrap;

/// The text with lines of at most `width` columns. Headings, tables and code stay as they are.
pub fn fill(markdown: &str, width: usize) -> String {
    let mut page = Page { text: String::new(), block: None, width };
    let mut is_code = false;
    for line in markdown.lines() {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        if is_fence || is_code || line.starts_with(['#', '|']) {
            page.line(line);
        } else if line.trim().is_empty() {
            page.line("");
        } else if let Some(marker) = marker(line) {
            page.end();
            page.block = Some((marker.to_owned(), plain(line[marker.len()..].trim())));
        } else {
            let (_, text) = page.block.get_or_insert_default();
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&plain(line.trim()));
        }
    }
    page.end();
    page.text
}

struct Page {
    text: String,
    /// What stands before a paragraph's first line, and its words.
    block: Option<(String, String)>,
    width: usize,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.end();
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Writes the paragraph that has come to its end.
    fn end(&mut self) {
        let Some((marker, words)) = self.block.take() else { return };
        let indent = marker.chars().count();
        let filled =
            wrap(&words, self.width.saturating_sub(indent)).replace('\n', &format!("\n{:indent$}", ""));
        self.text.push_str(&format!("{marker}{filled}\n"));
    }
}

/// What begins an item of a list, with the blanks around it.
fn marker(line: &str) -> Option<&str> {
    let item = line.trim_start();
    let digits = item.bytes().take_while(u8::is_ascii_digit).count();
    let mark = match digits {
        0 => item.starts_with(['-', '*']).then_some(1)?,
        _ => item[digits..].starts_with('.').then_some(digits + 1)?,
    };
    item[mark..].starts_with(' ').then(|| &line[..line.len() - item.len() + mark + 1])
}

/// The words without the marks of bold type, except in code.
fn plain(line: &str) -> String {
    let parts = line.split('`').enumerate();
    let parts: Vec<_> =
        parts.map(|(at, part)| if at % 2 == 0 { part.replace("**", "") } else { part.to_owned() }).collect();
    parts.join("`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_and_items_fill_the_lines() {
        let markdown = "# A title that is longer than the page\n\none two\nthree **four** five\n\n\
                        - **`the-echo`** six\n  seven eight\n- `a/**`\n\n12. nine\n    ten eleven\n\n\
                        | a | table that is long |\n\n```toml\nkey = \"and some code\"\n```\n";
        let filled = "# A title that is longer than the page\n\none two three\nfour five\n\n\
                      - `the-echo` six\n  seven eight\n- `a/**`\n\n12. nine ten\n    eleven\n\n\
                      | a | table that is long |\n\n```toml\nkey = \"and some code\"\n```\n";
        assert_eq!(fill(markdown, 16), filled);
    }
}
