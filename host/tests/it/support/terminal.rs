//! A terminal for what the program writes.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::process::Command;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// Our side of a terminal, and the side that a program has.
pub fn open() -> (File, File) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).expect("a terminal");
    unlockpt(&terminal).expect("a terminal");
    let name = ptsname(&terminal, Vec::new()).expect("a name").into_string().expect("text");
    let theirs = File::options().read(true).write(true).open(name).expect("the terminal's other side");
    (File::from(terminal), theirs)
}

/// All that was written, once nobody has the other side.
pub fn read(mut ours: File) -> String {
    let mut written = Vec::new();
    // At the end there is no end of file but an error.
    ours.read_to_end(&mut written).ok();
    String::from_utf8_lossy(&written).into_owned()
}

/// What a command writes to a terminal that is its standard output, with its colours.
pub fn shown(mut command: Command) -> String {
    let (ours, theirs) = open();
    let stderr = theirs.try_clone().expect("another descriptor");
    command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
    command.stdin(std::process::Stdio::null()).stdout(OwnedFd::from(theirs)).stderr(OwnedFd::from(stderr));
    let mut child = command.spawn().expect("the program starts");
    // It holds the terminal's other side, and would keep it open.
    drop(command);
    let written = read(ours);
    child.wait().expect("the program ends");
    written
}
