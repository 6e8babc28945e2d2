//! Components that no compiler writes: what would take their host long to load.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use crate::support::World;
use crate::support::component::{component, component_with, module};

/// A service with a guest around this core module, and its file.
fn world(module: &str, settings: &str) -> (TempDir, World) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("guest.wasm");
    fs::write(&file, component(module)).expect("the guest is written");
    let world = World::default().with_guest("front", &file.display().to_string(), settings);
    (folder, world)
}

#[test]
fn a_guest_in_the_text_format_is_a_guest() {
    let (_folder, world) = world(&module(""), "");
    assert_eq!(world.virtually(&["GET /"]).statuses(), [200]);
}

#[test]
fn a_start_function_that_never_ends_is_stopped() {
    for body in
        ["(drop (memory.grow (i32.const 1)))", "(drop (table.grow (ref.null func) (i32.const 1)))", ""]
    {
        let more = format!("(table 0 funcref) (func $start (loop {body} (br 0))) (start $start)");
        let (_folder, world) = world(&module(&more), "limits = { cpu-time = \"50ms\" }");
        let said = world.refusal();
        assert!(said.contains("limits.cpu-time = 50ms"), "{body}: {said}");
    }
}

#[test]
fn bulk_operations_cost_by_their_size() {
    let operations = [
        "(memory.fill (i32.const 0) (i32.const 1) (i32.const 65536))",
        "(memory.copy (i32.const 0) (i32.const 1) (i32.const 65535))",
        "(table.fill (i32.const 0) (ref.null func) (i32.const 10000))",
        "(table.copy (i32.const 0) (i32.const 1) (i32.const 9999))",
    ];
    for operation in operations {
        // A thousand of them: without a price for their size, no more than 10 µs.
        let more = format!(
            "(table 10000 funcref) (func $start (local $n i32) (loop {operation}
               (br_if 0 (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 1000)))))
             (start $start)"
        );
        let (_folder, world) = world(&module(&more), "limits = { cpu-time = \"5ms\" }");
        let said = world.refusal();
        assert!(said.contains("limits.cpu-time = 5ms"), "{operation}: {said}");
    }
}

#[test]
fn a_component_with_too_many_functions_is_refused_before_it_is_compiled() {
    let (_folder, world) = world(&module(&"(func)".repeat(100_001)), "");
    let said = world.refusal();
    assert!(said.contains("100004 functions, and 100000 are the most"), "{said}");
}

#[test]
fn a_component_with_a_function_that_is_too_large_is_refused_before_it_is_compiled() {
    let mut more = String::from("(func (result i32) (i32.const 0)");
    for number in 0..300_000 {
        write!(more, "(i32.const {number})(i32.add)").expect("a String takes every write");
    }
    more.push(')');
    let (_folder, world) = world(&module(&more), "");
    let said = world.refusal();
    assert!(said.contains("bytes of code in one function, and 1048576 are the most"), "{said}");
}

#[test]
fn imports_are_looked_at_before_a_component_is_compiled() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("guest.wasm");
    let world = World::default().with_guest("front", &file.display().to_string(), "");
    // The compiler would find that this function gives nothing back.
    let invalid = module("(func (result i32))");
    fs::write(&file, component(&invalid)).expect("the guest is written");
    assert!(world.refusal().contains("it is not a valid component"));
    let import = "(import \"wasi:http/types@0.2.0\" (instance))";
    fs::write(&file, component_with(import, &invalid)).expect("the guest is written");
    let said = world.refusal();
    assert!(said.contains("it imports what simhost does not offer: wasi:http/types@0.2.0"), "{said}");
}

#[test]
fn compiling_that_takes_long_is_said_while_it_goes_on() {
    // Functions take time; the text makes it large enough to be spoken of.
    let mut more = format!("(data \"{}\")", "x".repeat(600_000));
    for number in 0..20_000 {
        write!(more, "(func (param i32) (result i32) (i32.add (local.get 0) (i32.const {number})))")
            .expect("a String takes every write");
    }
    let (_folder, world) = world(&module(&more), "");
    let cold = tempfile::tempdir().expect("a cache without entries");
    let world = world.env("XDG_CACHE_HOME", &cold.path().display().to_string());
    let (_files, mut command) = world.virtual_command(&["GET /"]);
    let said = String::from_utf8(command.output().expect("simhost starts").stderr).expect("text");
    assert!(said.starts_with("compiling ") && said.contains("guest.wasm (0.8 MB) …\n"), "{said}");
}

#[test]
fn a_cache_that_others_can_write_to_is_not_used_and_a_note_says_so() {
    let shared = tempfile::tempdir().expect("a folder for caches");
    fs::set_permissions(shared.path(), Permissions::from_mode(0o777)).expect("others can write to it");
    let (_folder, world) = world(&module(""), "");
    let world = world.env("XDG_CACHE_HOME", &shared.path().display().to_string());
    let (_files, mut command) = world.virtual_command(&["GET /"]);
    let output = command.output().expect("simhost starts");
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.success(), "{said}");
    assert!(said.starts_with("note: compiled guests are not cached: others can write to "), "{said}");
    assert!(!shared.path().join("simhost/compiled").exists(), "nothing was left there");
}
