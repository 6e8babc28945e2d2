//! What each topology that ships does, as its report at a fixed seed: `NAME.expected` beside `NAME.toml`.
//!
//! `BLESS=1 cargo test --test topologies` writes them anew, with the flags of
//! their first line; read the difference before committing it.

mod common_run;

use common_run::shipped::Shipped;
use common_run::{finish, simhost};

/// What a difference means, by what differs.
const ONLY_THE_DIGEST: &str = "only the digest differs: every request took as long as before, and a record says \
    something else. That is right after a guest was built anew (its SHA-256 is in its Resource), and where an \
    attribute, a name or a log record was meant to change.";
const NUMBERS: &str = "numbers differ: requests took another way or another time. That is right where the topology, \
    a guest's code, a draw of chance or the simulation was meant to change, and a defect if only the machine, the \
    build or something that the topology does not use is another.";

#[test]
fn every_topology_does_what_its_golden_file_says() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for shipped in Shipped::all() {
        let finished = finish(simhost().args(shipped.arguments()));
        let said = format!("{}\n{}", shipped.command(), finished.success());
        assert!(said.contains("\ndigest: "), "{} tells no digest:\n{said}", shipped.name);
        let golden = shipped.golden();
        if bless {
            std::fs::write(shipped.expected(), &said).expect("a golden file");
        } else if golden != said {
            let path = shipped.expected();
            let meaning = if is_digest_alone(&golden, &said) { ONLY_THE_DIGEST } else { NUMBERS };
            wrong.push(format!("{} differs; it is now:\n{said}\n{meaning}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}\nBLESS=1 writes the golden files anew", wrong.join("\n\n"));
}

/// Whether two reports differ in the line of the digest, and there only.
fn is_digest_alone(golden: &str, said: &str) -> bool {
    let others = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with("digest: ")).map(str::to_owned).collect()
    };
    golden != said && others(golden) == others(said)
}

#[test]
fn the_digest_alone_is_told_from_numbers() {
    assert!(is_digest_alone("a\ndigest: 1\n", "a\ndigest: 2\n"));
    assert!(!is_digest_alone("a\ndigest: 1\n", "b\ndigest: 2\n"));
    assert!(!is_digest_alone("", "a\ndigest: 1\n"));
}

#[test]
fn every_golden_file_has_its_topology() {
    let shipped = Shipped::all();
    for folder in shipped.iter().filter_map(|shipped| shipped.path.parent()) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("a file").path();
            let is_golden = path.extension().is_some_and(|kind| kind == "expected");
            assert!(!is_golden || path.with_extension("toml").exists(), "{} is left over", path.display());
        }
    }
}
