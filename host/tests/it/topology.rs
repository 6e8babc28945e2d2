//! Reading topology files: what the file system may hold, and that nothing in
//! a file can do harm. What each mistake is answered with is in `ui.rs`.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;
use simhost::error::{Look, Problem, Refused};
use simhost::model::Code;
use simhost::topology::{FILE_AT_MOST, Topology, load, parse};
use toml::de::{DeTable, DeValue};

const EMBEDDED: [&str; 4] = ["inventory", "notification", "orders", "payment"];

/// What a person reads when a file of these bytes is refused.
fn report_of(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("it.toml");
    fs::write(&path, bytes).expect("file is written");
    let refused = load(&path, &EMBEDDED).expect_err("the file is refused");
    let report = refused.render(Look { width: 1_000, ..Look::PLAIN });
    report.replace(&folder.path().display().to_string(), "")
}

fn read(text: &str) -> Result<Topology, Refused> {
    parse("it.toml", text, Path::new(""), &EMBEDDED)
}

#[test]
fn a_file_that_is_missing_or_a_folder_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let report = |path: &Path| load(path, &EMBEDDED).expect_err("refused").render(Look::PLAIN);
    assert!(report(folder.path()).contains("is a directory"));
    let missing = report(&folder.path().join("nothing.toml"));
    assert!(missing.contains("there is no file"), "{missing}");
    assert!(missing.ends_with("nothing was done: 1 problem\n"), "{missing}");
}

#[test]
fn a_file_that_is_no_text_is_refused_with_the_place() {
    let report = report_of(b"[topology]\nname = \"caf\xe9\"\n");
    assert!(report.contains("not UTF-8 text: line 2, byte 22 of the file"), "{report}");
    assert!(report_of(b"\xff\xfe[\0t\0").contains("is UTF-16"));
    assert!(report_of(b"\0asm\x0d\0\x01\0").contains("not valid TOML"));
}

#[test]
fn a_file_that_is_too_large_is_refused_by_its_size() {
    let report = report_of(&vec![b'x'; 10_000_000]);
    assert!(report.contains("is larger than 1MiB"), "{report}");
    assert!(report.len() < 500, "{report}");
    let largest = usize::try_from(FILE_AT_MOST).expect("fits");
    assert!(report_of(&vec![b'#'; largest]).contains("is empty"));
    assert!(report_of(&vec![b'#'; largest + 1]).contains("is larger"));
    assert!(read(&"#".repeat(largest + 1)).is_err());
}

#[test]
fn a_byte_order_mark_is_no_problem() {
    let text = "\u{feff}[topology]\nname = \"shop\"\n[services.orders]\nguest = \"orders\"\n";
    assert!(read(text).is_ok());
    let report = report_of(text.replace("name", "nam").as_bytes());
    assert!(report.contains("it.toml:2:1]"), "{report}");
}

#[test]
fn windows_line_ends_leave_the_places_right() {
    let report = report_of(
        b"[topology]\r\nname = \"shop\"\r\nsede = 1\r\n[services.orders]\r\nguest = \"orders\"\r\n",
    );
    assert!(report.contains("it.toml:3:1]") && report.contains("1 problem\n"), "{report}");
}

#[test]
fn guests_paths_begin_at_the_folder_of_the_topology() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("it.toml");
    let text = "[topology]\nname = \"shop\"\n[services.orders]\nguest = \"./orders.wasm\"\n";
    fs::write(&path, text).expect("file is written");
    let topology = load(&path, &EMBEDDED).expect("the file is read");
    assert_eq!(topology.name, path.display().to_string());
    let Code::File { path, place: Some(place) } = &topology.model.services[0].code else {
        panic!("{:?}", topology.model.services[0].code)
    };
    assert_eq!(*path, folder.path().join("./orders.wasm"));
    assert_eq!(&topology.text[place.clone()], "\"./orders.wasm\"");
}

#[test]
fn problems_that_are_found_later_point_into_the_file() {
    let topology =
        read("[topology]\nname = \"shop\"\n[services.orders]\nguest = \"orders\"\n").expect("read");
    let place = topology.model.services[0].place.clone();
    let report = topology.refuse(vec![Problem::new("no good").at(place, "this one")], 0).render(Look::PLAIN);
    assert!(report.contains("it.toml:3:11]") && report.contains("this one"), "{report}");
}

#[test]
fn a_file_full_of_problems_gets_a_short_report() {
    let services: String =
        (0..9_000).map(|number| format!("[services.s{number}]\nguest = \"orders\"\n")).collect();
    let links = "[[links]]\nfrom = \"t1\"\nto = \"t2\"\n".repeat(20_000);
    let text = format!("[topology]\nname = \"shop\"\n{services}{links}");
    let report = read(&text).expect_err("refused").render(Look::PLAIN);
    assert!(report.contains("… and 39950 more\n"), "{}", &report[report.len() - 200..]);
    assert!(report.ends_with("it.toml cannot run: 40000 problems\n"));
    assert!(report.len() < 50_000, "{} bytes", report.len());
}

#[test]
fn a_topology_has_ten_thousand_faults_and_no_more() {
    let with = |faults: usize| {
        let fault = |number| format!("[[faults]]\nname = \"f{number}\"\nkind = \"collector-down\"\n");
        let faults: String = (0..faults).map(fault).collect();
        read(&format!("[topology]\nname = \"shop\"\n[services.orders]\nguest = \"orders\"\n{faults}"))
    };
    assert_eq!(with(10_000).expect("read").model.faults.len(), 10_000);
    let report = with(10_001).expect_err("refused").render(Look::PLAIN);
    assert!(report.contains("the topology has 10001 faults"), "{report}");
    assert!(report.ends_with("it.toml cannot run: 1 problem\n"), "{report}");
}

#[test]
fn a_problem_in_a_very_long_line_is_shown_with_a_part_of_it() {
    let text = format!("[topology]\nname = \"shop\"\nx = \"{}\"\n", "y".repeat(100_000));
    let report = read(&text).expect_err("refused").render(Look::PLAIN);
    assert!(report.contains("unknown key \"x\" in [topology]"), "{report}");
    assert!(report.contains("[it.toml:3:1]") && report.contains("x = \"yyyy"), "{report}");
    assert!(report.len() < 2_000, "{} bytes", report.len());
}

#[test]
fn colour_is_there_only_when_asked_for() {
    let refused = read("x = 1\n").expect_err("refused");
    assert!(!refused.render(Look::PLAIN).contains('\u{1b}'));
    assert!(refused.render(Look { colour: true, ..Look::PLAIN }).contains('\u{1b}'));
}

/// Valid files, and invalid ones with every key there is, to make worse.
static SEEDS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let folders = ["tests/ui", "../topologies"];
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("folder"));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).expect("text")).collect()
});

/// Pieces that change what a file means.
const PIECES: [&str; 30] = [
    "",
    "\n",
    "\"",
    "'",
    "'''",
    "[",
    "]]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "#",
    "-1",
    "0x",
    "1e999",
    "nan",
    "true",
    "\"5ms\"",
    "\"-1s\"",
    "[[links]]\n",
    "[services.a]\n",
    "{ fixed = 1 }",
    "\u{feff}",
    "\r\n",
    "\t",
    "é\u{301}",
    "99999999999999999999",
    "1979-05-27",
    "+/-",
];

/// Reading must end with a topology that holds all that the file says, or with
/// a report that shows at least one problem.
fn check(text: &str) -> Result<(), TestCaseError> {
    match read(text) {
        Ok(topology) => {
            let document = DeTable::parse(text).expect("TOML");
            let file = document.get_ref();
            let count = |key: &str| match file.get(key).map(toml::Spanned::get_ref) {
                Some(DeValue::Array(items)) => items.len(),
                Some(DeValue::Table(table)) => table.len(),
                _ => 0,
            };
            let model = topology.model;
            prop_assert_eq!(model.services.len(), count("services"));
            prop_assert_eq!(model.links.len(), count("links"));
            prop_assert_eq!(model.faults.len(), count("faults"));
            prop_assert_eq!(model.ingress.is_some(), file.contains_key("ingress"));
        }
        Err(refused) => {
            prop_assert!(refused.problems().next().is_some());
            let report = refused.render(Look::PLAIN);
            prop_assert!(!report.contains("Failed to read"), "{}", report);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_text_makes_reading_panic(text in any::<String>()) {
        check(&text)?;
    }

    #[test]
    fn no_mutation_of_a_topology_makes_reading_panic(
        seed in any::<Index>(),
        changes in prop::collection::vec((any::<Index>(), 0..12_usize, any::<Index>()), 1..4),
    ) {
        let mut text: Vec<char> = seed.get(&SEEDS).chars().collect();
        for (at, removed, piece) in changes {
            let start = at.index(text.len() + 1);
            let end = text.len().min(start + removed);
            text.splice(start..end, piece.get(&PIECES).chars());
        }
        check(&text.into_iter().collect::<String>())?;
    }
}
