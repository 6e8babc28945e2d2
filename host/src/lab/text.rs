//! The result of a check for a person: the first failure in full, the others in a line each.

use crate::error::{printable, wrap};
use crate::report::words::{counted, number, percent};
use crate::telemetry::console::Style;

use super::verdict::{CheckRow, Verdict};

/// Columns of the name of a check; a longer one takes several lines.
const NAME: usize = 34;

/// What stands before a check.
const fn mark(passed: bool, style: Style) -> &'static str {
    match (passed, style.plain, style.unicode) {
        (true, false, true) => "✓",
        (false, false, true) => "✗",
        (true, ..) => "passed:",
        (false, ..) => "failed:",
    }
}

/// The result. `shown` is what shows the first failure: its trace, which may have colours, and commands. Of
/// what is solved it is what comes next.
pub fn text(verdict: &Verdict, style: Style, shown: &str) -> String {
    let width = usize::from(style.width);
    let mut text = format!("{}\n\n", printable(&verdict.title));
    if let Some(frozen) = &verdict.frozen {
        let mark = mark(false, style);
        let help = "No check was run: put it back as it was, or start over with `simhost lab reset`.";
        text.push_str(&wrap(&printable(&format!("{mark} {frozen}")), width));
        text.push('\n');
        text.push_str(&wrap(help, width));
        text.push('\n');
        return text + &summary(verdict);
    }
    let first = verdict.first_failure();
    for (at, check) in verdict.checks.iter().enumerate() {
        text.push_str(&line(check, style));
        // An answer is a line of its own.
        if Some(at) == first || check.kind == "answer" && !check.passed {
            text.push_str(&explained(check, verdict.seeds.len(), width));
        }
        if Some(at) == first {
            text.push_str(shown);
        }
    }
    if verdict.checks.iter().any(CheckRow::is_held) {
        let said =
            "A check that the untouched files pass too gives its points when one of the others passes.";
        text.push_str(&format!("\n{}\n", wrap(said, width)));
    }
    // What shows a failure ends with an empty line.
    let apart = if text.ends_with("\n\n") { "" } else { "\n" };
    let after = if first.is_none() { shown } else { "" };
    text + apart + &summary(verdict) + after
}

fn line(check: &CheckRow, style: Style) -> String {
    let CheckRow { name, passed, score, max, .. } = check;
    let (name, mark) = (folded(&printable(name), NAME), mark(*passed, style));
    let (name, rest) = name.split_once('\n').unwrap_or((&name, ""));
    let points = format!("{} of {}", number(*score), counted(u64::from(*max), "point"));
    let mut line = format!("{mark} {name:NAME$} {points}{}\n", lost(check));
    let indent = mark.chars().count() + 1;
    line.extend(rest.lines().map(|rest| format!("{:indent$}{rest}\n", "")));
    line
}

/// Breaks lines at blanks, and words that are longer than a line.
fn folded(text: &str, width: usize) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut column = 0;
    for char in wrap(text, width).chars() {
        if char == '\n' {
            column = 0;
        } else if column == width {
            folded.push('\n');
            column = 1;
        } else {
            column += 1;
        }
        folded.push(char);
    }
    folded
}

/// Why a check that passes has not all of its points.
fn lost(check: &CheckRow) -> String {
    let share = 1.0 - check.score / f64::from(check.max.max(1));
    if !check.passed || check.score == 0.0 || share < 1e-9 {
        return String::new();
    }
    format!(" ({} lost by earlier failures)", percent(share))
}

fn explained(check: &CheckRow, seeds: usize, width: usize) -> String {
    let mut said = check.message.clone();
    let is_shown = |got: &&String| check.kind == "answer" || said.contains(got.as_str());
    if let Some(got) = check.got.as_ref().filter(|got| !is_shown(got)) {
        let is_clause = check.kind == "spans" && got.contains(' ');
        said.push_str(&match is_clause {
            true => format!(" {got}."),
            false => format!(" Got {got}, wanted {}.", check.want),
        });
    }
    if let Some(seed) = check.seed {
        let failed = check.failed_seeds;
        said.push_str(&format!(" (seed {seed}; it fails at {failed} of {})", counted(seeds as u64, "seed")));
    }
    let indented = folded(&printable(&said), width - 4).trim_end().replace('\n', "\n    ");
    format!("    {indented}\n")
}

fn summary(verdict: &Verdict) -> String {
    let Verdict { solved, score, max, seeds, .. } = verdict;
    let mut points = format!("{} of {}", number(*score), counted(u64::from(*max), "point"));
    if !seeds.is_empty() {
        points.push_str(&format!(" over {}", counted(seeds.len() as u64, "seed")));
    }
    if *solved { format!("solved: {points}\n") } else { format!("not yet: {points}\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, message: &str) -> CheckRow {
        CheckRow {
            name: name.to_owned(),
            kind: "guest".to_owned(),
            guard: false,
            passed: false,
            score: 0.0,
            max: 2,
            got: None,
            want: String::new(),
            seed: None,
            failed_seeds: 0,
            message: message.to_owned(),
            trace_id: None,
        }
    }

    #[test]
    fn the_points_of_checks_stand_below_one_another_whatever_their_names_are() {
        let style = Style::default();
        assert_eq!(line(&check("short", ""), style), format!("✗ {:34} 0 of 2 points\n", "short"));
        let long = line(&check("no call is left behind when the page is answered", ""), style);
        assert_eq!(
            long,
            format!("✗ {:34} 0 of 2 points\n  page is answered\n", "no call is left behind when the")
        );
        let word = line(&check(&"x".repeat(40), ""), style);
        assert_eq!(word, format!("✗ {} 0 of 2 points\n  xxxxxx\n", "x".repeat(34)));
    }

    #[test]
    fn a_body_without_blanks_stays_within_the_page() {
        let body = format!("the body {{\"lines\":[{}]}} is no answer", "7,".repeat(200));
        let said = explained(&check("name", &body), 0, 80);
        assert!(said.lines().all(|line| line.chars().count() <= 80 && line.starts_with("    ")), "{said}");
        assert_eq!(said.lines().map(str::trim).collect::<String>().replace(' ', ""), body.replace(' ', ""));
    }
}
