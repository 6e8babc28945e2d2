//! The page of the command line, `docs/reference/cli.md`, is what the program says of itself.

use crate::support::{finish, golden, simhost};

use super::root;

const PAGE: &str = "docs/reference/cli.md";

const HEAD: &str = "# Command line

What `simhost help` prints, command by command. `simhost COMMAND -h` prints a summary. Exit codes are in [inputs, outputs and
signals](process.md#exit-codes), the variables of the environment in [environment](environment.md).
";

/// The help of a command, without space at the ends of lines.
fn help(command: &[&str]) -> String {
    let said = finish(simhost().args(command).arg("--help"));
    let lines = said.success().lines().map(str::trim_end).collect::<Vec<_>>();
    lines.join("\n")
}

/// The commands that a help lists, but `help` itself.
fn listed(help: &str) -> Vec<&str> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = lines.take_while(|line| !line.is_empty());
    // A description may go on in a further line, which is indented by more.
    let names =
        names.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").collect()
}

/// A section for a command, and for each below it.
fn describe(command: &[&str], page: &mut String) {
    let help = help(command);
    if !command.is_empty() {
        page.push_str(&format!("\n## simhost {}\n", command.join(" ")));
    }
    page.push_str(&format!("\n```text\n{help}\n```\n"));
    for name in listed(&help) {
        describe(&[command, &[name]].concat(), page);
    }
}

#[test]
fn the_page_of_the_command_line_is_what_help_prints() {
    let mut page = HEAD.to_owned();
    describe(&[], &mut page);
    assert!(page.contains("\n## simhost run\n") && page.contains("\n## simhost fault on\n"), "{page}");
    golden(&root().join(PAGE), &page);
}
