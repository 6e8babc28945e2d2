//! The program `simhost`: see [`simhost`] for where to start reading.

use std::process::ExitCode;

/// A request costs some twenty allocations, a few of them of some kilobytes, and
/// another thread gives many back: glibc's allocator is slow at both.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    simhost::cli::main()
}
