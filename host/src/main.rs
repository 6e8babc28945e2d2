//! The program `simhost`: see [`simhost`] for where to start reading.

use std::process::ExitCode;

fn main() -> ExitCode {
    simhost::cli::main()
}
