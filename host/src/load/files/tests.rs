use std::io::Write;

use super::*;

/// What a file with this text says.
fn read_arrivals(text: &str) -> Result<Vec<Nanos>, String> {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("a file");
    let read = arrivals(file.path(), &(0..0)).map(|instants| instants.to_vec());
    let words = |problem: Problem| format!("{} {}\n", problem.message, problem.help.unwrap_or_default());
    read.map_err(|problems| problems.into_iter().map(words).collect())
}

#[test]
fn arrivals_are_seconds_or_times_or_dates() {
    assert_eq!(read_arrivals("# two\n0\n\n 12.5 \n"), Ok(vec![0, 12_500_000_000]));
    assert_eq!(read_arrivals("350ms\r\n350ms\n1m"), Ok(vec![350_000_000, 350_000_000, 60_000_000_000]));
    let dates = "2026-01-01T00:00:00Z\n2026-01-01T01:00:00.5+01:00\n";
    assert_eq!(read_arrivals(dates), Ok(vec![0, 500_000_000]));
}

#[test]
fn arrivals_that_cannot_be_replayed_are_refused_with_their_lines() {
    let wrong = |text: &str| read_arrivals(text).expect_err("it is wrong");
    assert!(wrong("1\n3\n2").contains("line 3"), "{}", wrong("1\n3\n2"));
    assert!(wrong("1\n3\n2").contains("order of time"));
    assert!(wrong("1\nsoon").contains("line 2"));
    assert!(wrong("1\n2026-01-01T00:00:00Z").contains("all lines are times since"));
    assert!(wrong("-1").contains("write seconds"));
    assert!(wrong("\n# none\n").contains("has no arrivals"));
    // A file of something else is not quoted from end to end.
    assert_eq!(wrong(&"x\n".repeat(100)).lines().count(), WRONG_AT_MOST);
    // Nor is it read to its end, when it is too long, before somebody looks.
    let long = wrong(&"x\n".repeat(ARRIVALS_AT_MOST + 1));
    assert!(long.contains("has 5000001 arrivals a load replays 5000000 at most"), "{long}");
    let missing = arrivals(Path::new("nowhere.txt"), &(3..5)).expect_err("it is not there");
    assert_eq!(missing[0].at, Some(3..5));
}

#[test]
fn names_are_lines_of_plain_text() {
    let read = |text: &str| {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text.as_bytes()).expect("a file");
        lines_of_names(file.path(), &(0..0)).map(|names| names.to_vec()).map_err(|problem| problem.message)
    };
    assert_eq!(read("Ann\n# nobody\n\n Bob \n"), Ok(vec!["Ann".to_owned(), "Bob".to_owned()]));
    assert!(read("").is_err_and(|message| message.contains("has no names")));
    assert!(
        read(&"Ann\n".repeat(NAMES_AT_MOST + 1)).is_err_and(|message| message.contains("has 100001 names"))
    );
    assert!(read("Ann\nB\u{1b}ob").is_err_and(|message| message.contains("line 2")));
}
