//! How lengths of time and sizes are read, and what is said of those that are wrong.

use super::*;

#[test]
fn a_length_of_time_reads_to_the_nanosecond() {
    let read = |text| parse_duration(text).ok();
    assert_eq!(read("350ms"), Some(350_000_000));
    assert_eq!(read("1.5s"), Some(1_500_000_000));
    assert_eq!(read("0.000000001s"), Some(1));
    assert_eq!(read("10ns"), Some(10));
    assert_eq!(read("2m"), Some(120_000_000_000));
    assert_eq!(read("0s"), Some(0));
    assert_eq!(read("8760h"), Some(LONGEST));
    assert_eq!(read("1.50000000000000000000000000000000s"), Some(1_500_000_000));
    assert_eq!([read("2 ms"), read(" 1.5 s ")], [Some(2_000_000), Some(1_500_000_000)]);
}

#[test]
fn a_length_of_time_reads_as_reports_print_it() {
    let read = |text| parse_duration(text).ok();
    assert_eq!(read("1m30s"), Some(90_000_000_000));
    assert_eq!(read("1h02m03s"), Some(3_723_000_000_000));
    assert_eq!(read("1m1.5s"), Some(61_500_000_000));
    assert_eq!(read("2h05m"), Some(7_500_000_000_000));
    let wrong =
        ["30s1m", "1m1m", "1.5m30s", "1m30", "m30s", "1m 30s", "8760h1ns", "1m0.1ns", "-1m30s", "1mm30s"];
    for text in wrong {
        assert!(parse_duration(text).is_err(), "{text}");
    }
}

#[test]
fn what_is_no_length_of_time_is_refused() {
    let texts = ["", "5", "ms", "-5ms", "5 msec", "1.2.3s", ".5s", "5.s", "1e3s", "8761h", "0.1ns"];
    let more = ["99999999999999999999999ms", "inf", "+5ms", "0.0000000000000000000001h", "5\u{b5}s"];
    for text in texts.iter().chain(&more) {
        assert!(parse_duration(text).is_err(), "{text}");
    }
}

#[test]
fn a_length_of_time_that_is_understood_is_refused_with_how_to_write_it() {
    let help = |text: &str| parse_duration(text).expect_err(text).help.expect("a remedy");
    for (text, remedy) in [
        ("1h 2m", "write \"1h2m\""),
        ("1h\u{a0}2m\n3s", "write \"1h2m3s\""),
        ("1 hour 2 minutes", "write \"1h2m\""),
        ("1_000ms", "write \"1000ms\""),
        ("2H", "write \"2h\""),
        ("1.5d", "write \"36h\""),
        ("1w", "write \"168h\""),
        ("9000h", "write a time up to 8760h, which are 365 days"),
    ] {
        assert_eq!(help(text), remedy, "{text:?}");
    }
    for text in ["2m 1h", "1h 2", "1,000ms", "PT1H", "-1h 2m", "400d", "9000 hours"] {
        assert!(!help(text).contains("write \""), "{text:?}: {}", help(text));
    }
    // Between a number and its unit any blank may stand, and around them.
    let read = ["10\u{a0}s", "10\ns", "\u{a0}10s\n"].map(|text| parse_duration(text).ok());
    assert_eq!(read, [Some(10_000_000_000); 3]);
}

#[test]
fn a_size_reads_in_decimal_and_binary_units() {
    let read = |text| parse(text, &SIZE).ok();
    assert_eq!(read("64MiB"), Some(64 << 20));
    assert_eq!(read("1.5KiB"), Some(1536));
    assert_eq!(read("2kB"), Some(2_000));
    assert_eq!([read("0B"), read("64 MiB")], [Some(0), Some(64 << 20)]);
    assert_eq!(read("64mb"), None);
    assert_eq!(read("20000000000GiB"), None);
    assert_eq!([0, 1536, 64 << 20, 1 << 32].map(show_size), ["0B", "1536B", "64MiB", "4GiB"]);
}
