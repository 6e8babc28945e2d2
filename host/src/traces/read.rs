//! The lines of a file that may be compressed, as often as they are wanted.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::error::quote;

/// A line is at most this long: bytes. Longer ones are left out.
const LINE_BYTES: u64 = 64 << 20;

/// The first bytes of gzip members (RFC 1952) and of Zstandard frames (RFC 8878).
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("cannot read {}: {error}", quote(&path.display().to_string()))]
    File { path: PathBuf, error: io::Error },
    #[error("cannot keep what standard input says in a temporary file: {0}")]
    Spool(io::Error),
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
            let mut file = tempfile::tempfile().map_err(ReadError::Spool)?;
            io::copy(&mut io::stdin().lock(), &mut file).map_err(ReadError::Spool)?;
            return Ok(Self { file, path: PathBuf::from("-") });
        };
        let fail = |error| ReadError::File { path: path.to_owned(), error };
        let about = std::fs::metadata(path).map_err(fail)?;
        if !about.is_file() {
            return Err(fail(io::Error::other("it is not a file; write - to read standard input")));
        }
        Ok(Self { file: File::open(path).map_err(fail)?, path: path.to_owned() })
    }

    /// Gives each line to `take`. What could not be read to its end, as of a run that was
    /// killed, is said.
    ///
    /// # Errors
    /// The system does not give the file's beginning out.
    pub fn lines(&self, mut take: impl FnMut(&str)) -> Result<Option<String>, ReadError> {
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
        let (mut line, mut long) = (Vec::new(), 0_u64);
        loop {
            line.clear();
            match (&mut lines).take(LINE_BYTES).read_until(b'\n', &mut line) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => return Ok(Some(format!("the end of the file could not be read: {error}"))),
            }
            if line.len() as u64 == LINE_BYTES && line.last() != Some(&b'\n') {
                long += 1;
                if lines.skip_until(b'\n').is_err() {
                    break;
                }
                continue;
            }
            let text = String::from_utf8_lossy(&line);
            if !text.trim().is_empty() {
                take(text.trim());
            }
        }
        Ok((long > 0).then(|| format!("{long} lines of over {} MiB left out", LINE_BYTES >> 20)))
    }
}
