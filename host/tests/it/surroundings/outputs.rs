//! Files that commands write whole: they are there whole, or what was there stays.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Finished, finish, in_shell, simhost};

struct Folder(tempfile::TempDir);

impl Folder {
    /// With the spans of some orders, and a file that somebody needs.
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        let orders = Path::new(env!("CARGO_MANIFEST_DIR")).join("../topologies/orders.toml");
        let flags = ["--virtual", "--for", "1s", "--show", "none", "--out", "orders.jsonl"];
        finish(folder.command(&["run"]).arg(orders).args(flags)).success();
        std::fs::write(folder.path("mine"), "precious").expect("a file");
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = simhost();
        command.current_dir(&self.0).args(arguments);
        command
    }

    fn refused(&self, arguments: &[&str], says: &str) -> Finished {
        let finished = finish(&mut self.command(arguments));
        assert_eq!(finished.code, Some(2), "{arguments:?}: {}", finished.stderr);
        assert!(finished.told().contains(says), "{arguments:?}: {}", finished.stderr);
        finished
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).expect("a folder");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("a file").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

#[test]
fn the_recording_that_is_imported_is_not_written_over() {
    let folder = Folder::new();
    let before = std::fs::read(folder.path("orders.jsonl")).expect("spans");
    std::os::unix::fs::symlink("orders.jsonl", folder.path("link")).expect("a link");
    std::fs::hard_link(folder.path("orders.jsonl"), folder.path("hard")).expect("a link");
    for out in ["orders.jsonl", "./orders.jsonl", "link", "hard"] {
        let says = format!("--out {out} is the file that is read, and would be lost");
        folder.refused(&["import", "orders.jsonl", "--out", out], &says);
    }
    assert_eq!(std::fs::read(folder.path("orders.jsonl")).expect("spans"), before);
}

#[test]
fn a_file_that_cannot_be_written_whole_stays_as_it_was() {
    let folder = Folder::new();
    let names = folder.names();
    for arguments in [
        &["import", "orders.jsonl", "--out", "mine"][..],
        &["generate", "--services", "200", "--out", "mine"],
    ] {
        // A file that may not grow is refused like one for which there is no room.
        let finished = finish(&mut in_shell("ulimit -f 1", &folder.command(arguments)));
        assert_eq!(finished.code, Some(2), "{arguments:?}: {}", finished.stderr);
        assert!(finished.told().contains("cannot write \"mine\""), "{arguments:?}: {}", finished.stderr);
        assert_eq!(
            std::fs::read_to_string(folder.path("mine")).expect("a file"),
            "precious",
            "{arguments:?}"
        );
    }
    assert_eq!(folder.names(), names, "nothing is left beside it");
}

#[test]
fn a_file_that_is_replaced_keeps_its_links_and_its_permissions() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let mode =
        |name: &str| std::fs::metadata(folder.path(name)).expect("a file").permissions().mode() & 0o777;
    std::fs::set_permissions(folder.path("mine"), std::fs::Permissions::from_mode(0o640)).expect("set");
    std::os::unix::fs::symlink("mine", folder.path("link")).expect("a link");
    finish(&mut folder.command(&["generate", "--services", "3", "--out", "link"])).success();
    assert!(std::fs::symlink_metadata(folder.path("link")).expect("a link").is_symlink());
    assert!(std::fs::read_to_string(folder.path("mine")).expect("a file").contains("[topology]"));
    assert_eq!(mode("mine"), 0o640);
    finish(&mut in_shell("umask 027", &folder.command(&["generate", "--services", "3", "--out", "new"])))
        .success();
    assert_eq!(mode("new"), 0o640);
}

#[test]
fn where_nothing_can_be_written_is_said_before_the_work() {
    let folder = Folder::new();
    for command in [&["import", "missing.jsonl"][..], &["generate", "--services", "3"]] {
        let arguments = [command, &["--out", "no/such/file"]].concat();
        folder.refused(&arguments, "cannot write \"no/such/file\": No such file or directory");
        let arguments = [command, &["--out", "."]].concat();
        folder.refused(&arguments, "cannot write \".\": is a directory");
    }
}
