//! Files that a person names: which of them are read, within which bound, and which are
//! written. What is no file must not make the program wait or fill its memory.

use std::fs::{File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

mod temporary;

pub use temporary::{Temporary, end_program};

/// What a folder is called.
pub const FOLDER: &str = "a folder";

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("there is no such file")]
    Missing,
    #[error("this user may not read it")]
    Forbidden,
    #[error("it is {0}, not a file")]
    NoFile(&'static str),
    #[error("it is a pipe to which nothing writes")]
    Silent,
    /// The most that is read: bytes.
    #[error("it is larger than {} MiB", .0 >> 20)]
    TooLarge(u64),
    #[error("{0}")]
    Failed(io::Error),
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::PermissionDenied => Self::Forbidden,
            _ => Self::Failed(error),
        }
    }
}

/// Reads a file of `most` bytes at most. A pipe is read to its end, as a shell's `<(…)`
/// is one.
///
/// # Errors
/// Why it is not read: also if it is a folder, a device, a socket, or a pipe to which
/// nothing writes.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, Unreadable> {
    // Looked at first: to open some devices does something.
    let about = std::fs::metadata(path)?;
    if let Some(kind) = no_file(&about) {
        return Err(Unreadable::NoFile(kind));
    }
    if about.is_file() {
        // The length of some of the system's own files is nought.
        if about.len() > most {
            return Err(Unreadable::TooLarge(most));
        }
        return to_the_end(File::open(path)?, Vec::new(), most);
    }
    pipe::read(path, most)
}

/// Creates a file, or empties it.
///
/// # Errors
/// The system's; and it is a pipe that nobody reads.
pub fn create(path: &Path) -> io::Result<File> {
    match std::fs::metadata(path) {
        Ok(about) if pipe::is_one(&about) => pipe::write(path),
        // A file that can be read may be put right after a write that has failed.
        Ok(about) if about.is_file() => {
            File::options().read(true).write(true).create(true).truncate(true).open(path)
        }
        Ok(_) => File::create(path),
        Err(_) => File::options().read(true).write(true).create(true).truncate(true).open(path),
    }
}

/// Writes a file whole or not at all: until all of it is written, what was there stays. A pipe or a device
/// takes the bytes as they come.
///
/// # Errors
/// The system's. A file that was there is as it was, unless its folder may not be written: then it is written
/// in place.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let there = std::fs::metadata(path).ok();
    if there.as_ref().is_some_and(|about| !about.is_file()) {
        return create(path)?.write_all(bytes);
    }
    // A symbolic link stays one, be there a file behind it or not.
    let target = std::fs::read_link(path).map(|to| path.parent().unwrap_or(Path::new("")).join(to));
    let path = &std::fs::canonicalize(path).or(target).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut beside = match Temporary::make(|| as_new_as(there.as_ref()).tempfile_in(folder)) {
        // Who may write a file need not be allowed to write its folder.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && there.is_some() => {
            return create(path)?.write_all(bytes);
        }
        beside => beside.map_err(without_its_name)?,
    };
    beside.write_all(bytes).and_then(|()| beside.as_file().sync_all()).map_err(without_its_name)?;
    beside.settle(|beside| beside.persist(path)).map(drop).map_err(|failed| without_its_name(failed.error))
}

/// A file beside another, which will be as open to others as that one is, or as any new one.
fn as_new_as(there: Option<&Metadata>) -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".simhost-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let new = std::fs::Permissions::from_mode(0o666);
        builder.permissions(there.map_or(new, Metadata::permissions));
    }
    builder
}

/// The error alone: the name of the file beside means nothing to who named another.
fn without_its_name(error: io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| io::Error::from(error.kind()), io::Error::from_raw_os_error)
}

/// Whether [`replace`] could begin, without touching what is there.
///
/// # Errors
/// The system's, which say why the file cannot be written.
pub fn can_replace(path: &Path) -> io::Result<()> {
    if std::fs::metadata(path).is_ok_and(|about| about.is_dir()) {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    can_create(path)
}

/// Whether two names lead to one file, by whatever links.
pub fn are_one(one: &Path, other: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let identity = |path| std::fs::metadata(path).ok().map(|about| (about.dev(), about.ino()));
        identity(one).is_some_and(|identified| identity(other) == Some(identified))
    }
    #[cfg(not(unix))]
    {
        let place = |path| std::fs::canonicalize(path).ok();
        place(one).is_some_and(|placed| place(other) == Some(placed))
    }
}

/// Whether [`create`] would succeed, without touching what the file has. Of what is no file, such as
/// a pipe or a device, nothing can be said without opening it.
///
/// # Errors
/// The system's, which say why the file cannot be written.
pub fn can_create(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => match std::fs::metadata(path) {
            Ok(about) if about.is_file() || about.is_dir() => {
                File::options().write(true).open(path).map(drop)
            }
            _ => Ok(()),
        },
        Err(_) => {
            let _held = temporary::hold();
            drop(File::options().write(true).create_new(true).open(path)?);
            std::fs::remove_file(path)
        }
    }
}

/// Files and connections that a process has open at least, when it runs a topology.
#[cfg(unix)]
const OPEN_AT_LEAST: u64 = 32;

/// Sees to it that files can be opened: asks the system for as many as this process may have.
///
/// # Errors
/// They are too few for any run; the text says how many.
#[cfg(unix)]
pub fn room() -> Result<(), String> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    // Where it is refused, the limit is as it was.
    let current = if setrlimit(Resource::Nofile, raised).is_ok() { maximum } else { current };
    match current {
        Some(few) if few < OPEN_AT_LEAST => {
            Err(format!("this process may open {few} files, and simhost needs {OPEN_AT_LEAST}"))
        }
        _ => Ok(()),
    }
}

/// Sees to it that files can be opened: here there is nothing to do.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub const fn room() -> Result<(), String> {
    Ok(())
}

fn to_the_end(file: File, mut bytes: Vec<u8>, most: u64) -> Result<Vec<u8>, Unreadable> {
    let room = most.saturating_sub(bytes.len() as u64);
    file.take(room + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(Unreadable::TooLarge(most)) } else { Ok(bytes) }
}

/// What it is, if it is neither a file nor a pipe.
fn no_file(about: &Metadata) -> Option<&'static str> {
    if about.is_dir() {
        return Some(FOLDER);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        let kind = about.file_type();
        if kind.is_char_device() || kind.is_block_device() {
            return Some("a device");
        }
        if kind.is_socket() {
            return Some("a socket");
        }
    }
    None
}

#[cfg(unix)]
mod pipe {
    use std::fs::{File, Metadata, OpenOptions};
    use std::io::{self, Read as _};
    use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
    use std::path::Path;

    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

    use super::{Unreadable, to_the_end};

    pub fn is_one(about: &Metadata) -> bool {
        about.file_type().is_fifo()
    }

    /// Without this, to open a pipe waits for its other side.
    fn without_waiting(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
        options.custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)
    }

    fn wait_from_here_on(file: &File) -> io::Result<()> {
        Ok(fcntl_setfl(file, fcntl_getfl(file)? - OFlags::NONBLOCK)?)
    }

    pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, Unreadable> {
        let mut file = without_waiting(File::options().read(true), path)?;
        let mut first = [0; 4 << 10];
        let bytes = match file.read(&mut first) {
            Ok(0) => return Err(Unreadable::Silent),
            Ok(read) => first[..read].to_vec(),
            // The writer has not begun yet.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        wait_from_here_on(&file)?;
        to_the_end(file, bytes, most)
    }

    pub fn write(path: &Path) -> io::Result<File> {
        let file = without_waiting(File::options().write(true), path).map_err(|error| {
            let nobody = error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error());
            if nobody { io::Error::other("it is a pipe that nothing reads") } else { error }
        })?;
        wait_from_here_on(&file)?;
        Ok(file)
    }
}

#[cfg(not(unix))]
mod pipe {
    use std::fs::{File, Metadata};
    use std::io;
    use std::path::Path;

    use super::{Unreadable, to_the_end};

    pub const fn is_one(_: &Metadata) -> bool {
        false
    }

    pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, Unreadable> {
        to_the_end(File::open(path)?, Vec::new(), most)
    }

    pub fn write(path: &Path) -> io::Result<File> {
        File::create(path)
    }
}
