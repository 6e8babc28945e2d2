//! What differs between two texts, line by line.

/// Lines around a change that are shown too.
const AROUND: usize = 2;

/// Lines of a text that are compared; of longer ones it is only said that they differ.
const LINES_AT_MOST: usize = 3_000;

/// A line of both texts, or of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line<'a> {
    Same(&'a str),
    Gone(&'a str),
    New(&'a str),
}

/// The changes from one text to another, as a patch would have them; empty if there are none.
pub fn changes(from: &str, to: &str) -> String {
    let (from, to): (Vec<_>, Vec<_>) = (from.lines().collect(), to.lines().collect());
    if from == to {
        return String::new();
    }
    if from.len().max(to.len()) > LINES_AT_MOST {
        return "the files differ, and are too long to be compared\n".to_owned();
    }
    let lines = compare(&from, &to);
    let is_shown = |at: usize| {
        let (first, last) = (at.saturating_sub(AROUND), (at + AROUND).min(lines.len() - 1));
        lines[first..=last].iter().any(|line| !matches!(line, Line::Same(_)))
    };
    let (mut text, mut left_out) = (String::new(), false);
    for (at, line) in lines.iter().enumerate() {
        if !is_shown(at) {
            left_out = true;
            continue;
        }
        if std::mem::take(&mut left_out) {
            text.push_str("  …\n");
        }
        let (mark, line) = match line {
            Line::Same(line) => (' ', line),
            Line::Gone(line) => ('-', line),
            Line::New(line) => ('+', line),
        };
        text.push_str(&format!("{mark} {line}\n"));
    }
    text
}

/// The shortest list of changes, by the longest common subsequence.
fn compare<'a>(from: &[&'a str], to: &[&'a str]) -> Vec<Line<'a>> {
    let width = to.len() + 1;
    // The length of what is common from a place in each on.
    let mut common = vec![0_u16; (from.len() + 1) * width];
    for at in (0..from.len()).rev() {
        for other in (0..to.len()).rev() {
            common[at * width + other] = match from[at] == to[other] {
                true => common[(at + 1) * width + other + 1] + 1,
                false => common[(at + 1) * width + other].max(common[at * width + other + 1]),
            };
        }
    }
    let (mut at, mut other, mut lines) = (0, 0, Vec::new());
    while at < from.len() || other < to.len() {
        if at < from.len() && other < to.len() && from[at] == to[other] {
            lines.push(Line::Same(from[at]));
            (at, other) = (at + 1, other + 1);
        } else if other == to.len()
            || at < from.len() && common[(at + 1) * width + other] >= common[at * width + other + 1]
        {
            lines.push(Line::Gone(from[at]));
            at += 1;
        } else {
            lines.push(Line::New(to[other]));
            other += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_shown_with_the_lines_around_them() {
        let from = "a\nb\nc\nd\ne\nf\ng\n";
        assert_eq!(changes(from, from), "");
        assert_eq!(
            changes(from, "a\nb\nc\nx\ne\nf\ng\nh\n"),
            "  …\n  b\n  c\n- d\n+ x\n  e\n  f\n  g\n+ h\n"
        );
    }
}
