//! Where the truth goes: a file, line by line.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Seek as _, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::files;

use super::Record;

/// Lines that are moved go in blocks of about this many bytes.
const BLOCK: usize = 1 << 20;

/// A file of lines. Each goes out whole and at once: what was written survives the
/// process, and `tail -f` shows it. It costs a call of the system for each line.
#[derive(Debug)]
pub struct Sink {
    path: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    out: Out,
    /// Bytes of whole lines that were written.
    whole: u64,
    /// The line that is being put together; kept for its memory.
    line: Vec<u8>,
    /// What has gone wrong: nothing is written any more.
    trouble: Option<Trouble>,
}

#[derive(Debug)]
enum Out {
    File(File),
    Stdout(io::Stdout),
}

/// A write has failed: half a line may be out, and what would come behind it could
/// not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub message: String,
    /// The reader of a pipe has seen enough.
    pub is_unread: bool,
    /// Lines that were lost.
    pub lost: u64,
}

impl Sink {
    /// Creates the file, or empties it; `-` is the standard output.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        let out =
            if path == Path::new("-") { Out::Stdout(io::stdout()) } else { Out::File(files::create(path)?) };
        let inner = Inner { out, whole: 0, line: Vec::new(), trouble: None };
        Ok(Self { path: path.to_owned(), inner: Mutex::new(inner) })
    }

    /// Writes one line. Trouble is kept, not returned: a run goes on without its truth.
    pub fn write(&self, record: &Record) {
        let inner = &mut *self.lock();
        inner.line.clear();
        serde_json::to_writer(&mut inner.line, record).expect("a record has only keys that are strings");
        inner.line.push(b'\n');
        let line = std::mem::take(&mut inner.line);
        inner.put(&line, 1);
        inner.line = line;
    }

    /// Moves the lines of another behind those that are here, and removes its file.
    pub fn absorb(&self, other: Self) {
        let mut theirs = other.inner.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Out::File(file) = &mut theirs.out else { return };
        let inner = &mut *self.lock();
        if let Err(error) = file.seek(io::SeekFrom::Start(0)).and_then(|_| inner.append(file)) {
            inner.fail(&error, 0);
        }
        if inner.trouble.is_none() {
            inner.trouble = theirs.trouble;
        }
        // It is of no use any more; if it stays, it is in nobody's way.
        std::fs::remove_file(&other.path).ok();
    }

    /// What has gone wrong, if anything has.
    pub fn trouble(&self) -> Option<Trouble> {
        self.lock().trouble.clone()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Adds the lines of a file, some at a time.
    fn append(&mut self, file: &mut File) -> io::Result<()> {
        let mut file = BufReader::with_capacity(BLOCK, file);
        let (mut lines, mut count) = (Vec::new(), 0);
        while file.read_until(b'\n', &mut lines)? > 0 {
            count += 1;
            if lines.len() >= BLOCK {
                self.put(&lines, count);
                lines.clear();
                count = 0;
            }
        }
        self.put(&lines, count);
        Ok(())
    }

    fn put(&mut self, lines: &[u8], count: u64) {
        if let Some(trouble) = &mut self.trouble {
            trouble.lost += count;
            return;
        }
        let written = match &mut self.out {
            Out::File(file) => file.write_all(lines),
            Out::Stdout(stdout) => stdout.write_all(lines).and_then(|()| stdout.flush()),
        };
        match written {
            Ok(()) => self.whole += lines.len() as u64,
            Err(error) => self.fail(&error, count),
        }
    }

    fn fail(&mut self, error: &io::Error, lost: u64) {
        if let Out::File(file) = &self.out {
            // A full disk takes half a line; if it does not give it back either, so be it.
            file.set_len(self.whole).ok();
        }
        let is_unread = error.kind() == io::ErrorKind::BrokenPipe;
        self.trouble = Some(Trouble { message: error.to_string(), is_unread, lost });
    }
}
