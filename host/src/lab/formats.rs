//! The result of a check in the forms that others read: JUnit XML, Gradescope, Exercism.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::error::INFALLIBLE;

use super::verdict::{CheckRow, HELD, Verdict};

/// Bytes of the message about a whole submission that Exercism takes.
const EXERCISM_AT_MOST: usize = 65_535;

/// Our own JSON.
pub fn json(verdict: &Verdict) -> String {
    pretty(verdict)
}

/// JUnit XML, as GitLab, Jenkins and the reporters of GitHub read it. Where nothing was judged, one case says
/// why, and the checks are skipped.
pub fn junit(verdict: &Verdict) -> String {
    let whole = whole(verdict);
    let failed = verdict.checks.iter().filter(|check| !check.passed).count();
    let (failures, errors, skipped) = match (&verdict.error, &whole) {
        (Some(_), _) => (0, 1, failed),
        (None, Some(_)) => (1, 0, failed),
        (None, None) => (failed, 0, 0),
    };
    let tests = verdict.checks.len() + usize::from(whole.is_some());
    let counts = format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\"");
    let counts = format!("{counts} skipped=\"{skipped}\"");
    let name = escaped(&verdict.lab);
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n  \
         <testsuite name=\"{name}\" {counts}>\n"
    );
    if let Some((what, message)) = &whole {
        let element = if verdict.error.is_some() { "error" } else { "failure" };
        case(&mut text, &name, what, Some((element, message)));
    }
    let element = if whole.is_some() { "skipped" } else { "failure" };
    for check in &verdict.checks {
        let state = (!check.passed).then_some((element, check.message.as_str()));
        case(&mut text, &name, &check.name, state);
    }
    text + "  </testsuite>\n</testsuites>\n"
}

/// A test case. Some readers show the attribute of what became of it, others, as GitLab, its text alone.
fn case(text: &mut String, lab: &str, name: &str, state: Option<(&str, &str)>) {
    let head = format!("    <testcase classname=\"simhost.lab.{lab}\" name=\"{}\"", escaped(name));
    match state {
        None => writeln!(text, "{head}/>"),
        Some((element, message)) => {
            let first = escaped(message.lines().next().unwrap_or_default());
            let whole = escaped(message);
            writeln!(
                text,
                "{head}>\n      <{element} message=\"{first}\">{whole}</{element}>\n    </testcase>"
            )
        }
    }
    .expect(INFALLIBLE);
}

/// Text of XML 1.0, also in an attribute, without what it cannot have.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\u{fffe}' | '\u{ffff}' => out.push('?'),
            char if char.is_control() => out.push('?'),
            char => out.push(char),
        }
    }
    out
}

/// `results.json` of Gradescope.
pub fn gradescope(verdict: &Verdict) -> String {
    let mut tests: Vec<_> = verdict.checks.iter().enumerate().map(|(at, check)| test(at, check)).collect();
    let output = whole(verdict).map(|(what, message)| format!("{what}: {message}"));
    if tests.is_empty() {
        tests.push(json!({ "name": verdict.lab, "score": 0.0, "max_score": 0.0, "status": "failed" }));
    }
    let output =
        output.unwrap_or_else(|| format!("{}: {} of {} points", verdict.title, verdict.score, verdict.max));
    pretty(&json!({
        "score": verdict.score,
        "output": output,
        "visibility": "visible",
        "stdout_visibility": "visible",
        "tests": tests,
    }))
}

fn test(at: usize, check: &CheckRow) -> Value {
    json!({
        "name": check.name,
        "number": (at + 1).to_string(),
        "score": check.score,
        "max_score": check.max,
        "status": if check.passed { "passed" } else { "failed" },
        "output": if check.is_held() { HELD } else { &check.message },
        "visibility": "visible",
        "tags": [check.kind],
    })
}

/// `results.json` of Exercism's test runners, version 3. Briefs of labs have no numbered tasks, so no test
/// is of one. What was measured is in the message: `output` is what a student's code prints.
pub fn exercism(verdict: &Verdict) -> String {
    let whole = whole(verdict).map(|(what, message)| cut(&format!("{what}: {message}")));
    let status = match (&whole, verdict.solved) {
        // No check was made.
        (Some(_), _) => "error",
        (None, true) => "pass",
        (None, false) => "fail",
    };
    let tests = verdict.checks.iter().map(|check| {
        json!({
            "name": check.name,
            "status": if check.passed { "pass" } else { "fail" },
            "message": (!check.passed).then_some(&check.message),
            "test_code": check.want,
        })
    });
    let tests: Vec<_> = if whole.is_some() { Vec::new() } else { tests.collect() };
    pretty(&json!({ "version": 3, "status": status, "message": whole, "tests": tests }))
}

/// What concerns the submission as a whole: its name, and what is said.
fn whole(verdict: &Verdict) -> Option<(&'static str, String)> {
    let error = verdict.error.clone().map(|error| ("the files are broken", error));
    error.or_else(|| Some(("frozen", verdict.frozen.as_ref()?.to_string())))
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(EXERCISM_AT_MOST)].to_owned()
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).expect("a result has only keys that are strings") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_has_no_character_that_it_cannot_have() {
        assert_eq!(escaped("a<b> & \"c\"\n\u{1b}[1m"), "a&lt;b&gt; &amp; &quot;c&quot;&#10;?[1m");
    }
}
