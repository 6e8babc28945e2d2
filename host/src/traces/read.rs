//! The lines of a file that may be compressed, as often as they are wanted.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::error::quote;
use crate::report::words::counted;

use super::documents::{self, Documents};
use super::foreign::Foreign;

/// A line is at most this long: bytes. Longer ones are left out.
const LINE_BYTES: u64 = 64 << 20;

/// What is kept of standard input: bytes.
const STDIN_BYTES: u64 = 4 << 30;

/// The first bytes of gzip members (RFC 1952) and of Zstandard frames (RFC 8878).
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Some editors put it in front of a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("cannot read {}: {error}", quote(&path.display().to_string()))]
    File { path: PathBuf, error: io::Error },
    #[error("cannot keep what standard input says in a temporary file: {0}")]
    Spool(io::Error),
    #[error("no line of {} is OTLP as JSON{}", quote(&path.display().to_string()), first.what())]
    NoOtlp {
        path: PathBuf,
        /// What the first line is.
        first: Foreign,
    },
    #[error("nothing of {} can be read: {error}", quote(&path.display().to_string()))]
    Cut { path: PathBuf, error: io::Error },
    #[error("{what}")]
    Unknown {
        what: String,
        /// What the file has.
        help: String,
    },
    #[error("standard input has more than the {} MiB that are kept of it", .0 >> 20)]
    TooLong(u64),
}

impl ReadError {
    /// What to do about it.
    pub fn remedy(&self) -> &str {
        match self {
            Self::File { .. } => "name a file that --out has written, or - for standard input",
            Self::NoOtlp { first, .. } => first.remedy(),
            Self::Cut { .. } => "the file is damaged or cut off within its first line: copy it again",
            Self::Unknown { help, .. } => help,
            Self::Spool(_) => "name a folder with room for it in TMPDIR, or name a file in place of -",
            Self::TooLong(_) => "write it to a file, and name that in place of -",
        }
    }
}

/// What is read: a file, or a copy of the standard input.
#[derive(Debug)]
pub struct Source {
    file: File,
    path: PathBuf,
}

impl Source {
    /// Opens the file; without one, copies the standard input to a temporary file, as
    /// it is read twice.
    ///
    /// # Errors
    /// The file is not there or is no file; there is no room for a copy.
    pub fn open(path: Option<&Path>) -> Result<Self, ReadError> {
        let Some(path) = path else {
            let file = spool(io::stdin().lock(), STDIN_BYTES)?;
            return Ok(Self { file, path: PathBuf::from("-") });
        };
        let fail = |error| ReadError::File { path: path.to_owned(), error };
        let about = std::fs::metadata(path).map_err(fail)?;
        if !about.is_file() {
            return Err(fail(io::Error::other("it is not a file; write - to read standard input")));
        }
        Ok(Self { file: File::open(path).map_err(fail)?, path: path.to_owned() })
    }

    /// Whether it is OTLP: how many of its lines are, how many are not, what the first of these is, and what
    /// could not be read.
    ///
    /// # Errors
    /// It has other lines only, or cannot be read as far as the end of the first.
    pub fn check(
        &self,
        lines: u64,
        strange: u64,
        first: Option<Foreign>,
        unread: &mut Unread,
    ) -> Result<(), ReadError> {
        let path = || self.path.clone();
        if lines > 0 {
            return Ok(());
        }
        match unread.end.take() {
            Some(error) if strange == 0 => Err(ReadError::Cut { path: path(), error }),
            _ if strange > 0 => Err(ReadError::NoOtlp { path: path(), first: first.unwrap_or_default() }),
            _ => Ok(()),
        }
    }

    /// Gives each line to `take`, and returns what it could not give. Where the first line begins a list, or
    /// a document of several lines, these are documents in place of lines.
    ///
    /// # Errors
    /// The system does not give the file's beginning out.
    pub fn lines(&self, mut take: impl FnMut(&str)) -> Result<Unread, ReadError> {
        let fail = |error| ReadError::File { path: self.path.clone(), error };
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0)).map_err(fail)?;
        let mut reader = BufReader::new(file);
        let start = reader.fill_buf().map_err(fail)?;
        let mut lines: Box<dyn BufRead> = if start.starts_with(&GZIP) {
            Box::new(BufReader::new(MultiGzDecoder::new(reader)))
        } else if start.starts_with(&ZSTD) {
            Box::new(BufReader::new(zstd::stream::read::Decoder::with_buffer(reader).map_err(fail)?))
        } else {
            Box::new(reader)
        };
        let (mut line, mut unread) = (Vec::new(), Unread::default());
        let (mut is_first, mut documents) = (true, None::<Documents>);
        let mut opened = None::<Vec<u8>>;
        loop {
            line.clear();
            match (&mut lines).take(LINE_BYTES).read_until(b'\n', &mut line) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    unread.end = Some(error);
                    break;
                }
            }
            if let Some(documents) = &mut documents {
                documents.feed(&line, &mut take);
                continue;
            }
            if let Some(first) = opened.take() {
                if !documents::is_document(&text_of(&line)) {
                    documents = Some(Documents::of(LINE_BYTES as usize, &[&first, &line], &mut take));
                    continue;
                }
                take(&text_of(&first));
            }
            let was_first = std::mem::take(&mut is_first);
            if was_first && documents::begins(&text_of(&line)) {
                opened = Some(line.clone());
                continue;
            }
            if line.len() as u64 == LINE_BYTES && line.last() != Some(&b'\n') {
                unread.long += 1;
                if let Err(error) = lines.skip_until(b'\n') {
                    unread.end = Some(error);
                    break;
                }
                continue;
            }
            let text = text_of(&line);
            if text.is_empty() {
                is_first = was_first;
            } else {
                take(&text);
            }
        }
        if let Some(first) = opened {
            documents = Some(Documents::of(LINE_BYTES as usize, &[&first], &mut take));
        }
        if let Some(mut documents) = documents {
            documents.end(&mut take);
            unread.long += documents.long;
            // A list of something else.
            if documents.found + documents.long == 0 {
                take("[]");
            }
        }
        Ok(unread)
    }
}

/// A line without what is around it.
fn text_of(line: &[u8]) -> Cow<'_, str> {
    let is_around = |c: char| c.is_whitespace() || c == BYTE_ORDER_MARK;
    match String::from_utf8_lossy(line) {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_matches(is_around)),
        Cow::Owned(text) => Cow::Owned(text.trim_matches(is_around).to_owned()),
    }
}

/// What could not be read of a file.
#[derive(Debug, Default)]
pub struct Unread {
    /// Lines that are too long.
    long: u64,
    /// Why its end is missing, as of a run that was killed.
    end: Option<io::Error>,
}

impl Unread {
    /// A sentence for each kind.
    pub fn notes(&self) -> Vec<String> {
        let long = (self.long > 0).then(|| {
            format!("{} left out: longer than {} MiB", counted(self.long, "line"), LINE_BYTES >> 20)
        });
        let end = self.end.as_ref().map(|error| format!("the end of the file could not be read: {error}"));
        long.into_iter().chain(end).collect()
    }
}

/// A temporary file with all of `input`.
fn spool(input: impl Read, most: u64) -> Result<File, ReadError> {
    let mut file = tempfile::tempfile().map_err(ReadError::Spool)?;
    let copied = io::copy(&mut input.take(most + 1), &mut file).map_err(ReadError::Spool)?;
    if copied > most { Err(ReadError::TooLong(most)) } else { Ok(file) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_input_has_a_bound() {
        let of = |bytes| spool(io::repeat(b'x').take(bytes), 1 << 20);
        assert!(of(1 << 20).is_ok());
        let error = of((1 << 20) + 1).expect_err("too long");
        assert_eq!(error.to_string(), "standard input has more than the 1 MiB that are kept of it");
    }
}
