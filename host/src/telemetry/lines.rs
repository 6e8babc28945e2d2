//! Lines of records to a file, or to whatever else takes bytes, and the account of them.
//!
//! A file whose name ends in `.gz` or `.zst` is compressed: gzip members (RFC 1952) or
//! Zstandard frames (RFC 8878), one behind the other, each of whole lines.

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::files;

use super::console::text::safe_json;
use super::exporter::{Account, Reason, Trouble};
use super::signal::Count;

/// Lines that are compressed together, in bytes; a batch that has fewer is written alone,
/// so that a run that is killed has lost no more than is in the queue.
const FRAME_BYTES: usize = 4 << 20;

/// Zstandard's own default.
const ZSTD_LEVEL: i32 = 3;

/// Where lines go.
pub struct Lines {
    out: Box<dyn Write + Send>,
    name: String,
    /// A terminal would obey some characters: lines, which are JSON or safe, have escapes for them.
    is_terminal: bool,
    /// For a file on a disk: what is taken off again when a line goes in by half.
    file: Option<File>,
    /// Bytes of whole lines, or frames of them, that were written.
    whole: u64,
    packer: Option<Packer>,
    /// Lines that wait to be compressed, and their records.
    frame: Vec<u8>,
    framed: Count,
    /// A write has failed. Half a line may be out, of a pipe for good, and what would
    /// come behind it could not be read: nothing is written any more.
    broken: Option<Reason>,
    account: Arc<Account>,
}

/// What makes a frame of lines.
enum Packer {
    Gzip,
    Zstd(zstd::bulk::Compressor<'static>),
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines")
            .field("name", &self.name)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

impl Lines {
    /// Creates the file, or empties it; `-` is the standard output.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            let stdout = io::stdout();
            let is_terminal = stdout.is_terminal();
            return Ok(Self { is_terminal, ..Self::new(name(path), Box::new(stdout)) });
        }
        let packer = Packer::of(path)?;
        let file = files::create(path)?;
        let on_disk = if file.metadata()?.is_file() { Some(file.try_clone()?) } else { None };
        Ok(Self { file: on_disk, packer, ..Self::new(name(path), Box::new(file)) })
    }

    /// Writes to `out`, uncompressed, under the name `name` in the report.
    pub fn new(name: impl Into<String>, out: Box<dyn Write + Send>) -> Self {
        let name = name.into();
        let account = Account::new(name.clone());
        Self {
            out,
            account,
            name,
            is_terminal: false,
            file: None,
            whole: 0,
            packer: None,
            frame: Vec::new(),
            framed: Count::default(),
            broken: None,
        }
    }

    /// As the report shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub const fn account(&self) -> &Arc<Account> {
        &self.account
    }

    pub const fn is_compressed(&self) -> bool {
        self.packer.is_some()
    }

    /// Takes whole lines, each with its line feed, of this many records. They go out at once, so that
    /// `tail -f` shows them and a run that is killed leaves whole lines; or with others, if they are to be
    /// compressed.
    pub fn put(&mut self, lines: &[u8], count: Count) {
        if self.packer.is_none() {
            let text = self.is_terminal.then(|| String::from_utf8_lossy(lines));
            let text = text.as_deref().map(safe_json);
            return self.write(text.as_ref().map_or(lines, |text| text.as_bytes()), count);
        }
        self.frame.extend_from_slice(lines);
        self.framed += count;
        if self.frame.len() >= FRAME_BYTES {
            self.end_frame();
        }
    }

    /// Writes the lines that wait to be compressed.
    pub fn end_frame(&mut self) {
        let Some(packer) = self.packer.as_mut().filter(|_| !self.frame.is_empty()) else { return };
        let packed = packer.pack(&self.frame);
        self.frame.clear();
        let count = std::mem::take(&mut self.framed);
        match packed {
            Ok(packed) => self.write(&packed, count),
            Err(error) => self.fail(&error, count),
        }
    }

    /// Writes whole lines with one call of the system, and counts their records.
    fn write(&mut self, bytes: &[u8], count: Count) {
        if let Some(reason) = self.broken {
            return self.account.dropped(reason, count, None);
        }
        match self.out.write_all(bytes).and_then(|()| self.out.flush()) {
            Ok(()) => {
                self.whole += bytes.len() as u64;
                self.account.exported(count);
            }
            Err(error) => self.fail(&error, count),
        }
    }

    fn fail(&mut self, error: &io::Error, count: Count) {
        let is_unread = error.kind() == io::ErrorKind::BrokenPipe;
        let reason = *self.broken.insert(if is_unread { Reason::Unread } else { Reason::Failed });
        // A full disk takes half a line; if it does not give it back either, so be it.
        let _whole = self.file.as_ref().map(|file| file.set_len(self.whole));
        let message = format!("cannot write to {}: {error}", self.name);
        if !is_unread {
            self.account.trouble(Trouble::permanent(message.clone()));
        }
        self.account.dropped(reason, count, Some(message));
    }
}

impl Packer {
    /// As the file's name ends; none for any other end.
    fn of(path: &Path) -> io::Result<Option<Self>> {
        Ok(match path.extension().and_then(|end| end.to_str()) {
            Some("gz") => Some(Self::Gzip),
            Some("zst") => {
                let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
                compressor.include_checksum(true)?;
                Some(Self::Zstd(compressor))
            }
            _ => None,
        })
    }

    fn pack(&mut self, lines: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(lines)?;
                encoder.finish()
            }
            Self::Zstd(compressor) => compressor.compress(lines),
        }
    }
}

/// Under what name the records to `path` are in the report.
fn name(path: &Path) -> String {
    if path == Path::new("-") { "standard output".to_owned() } else { format!("file {}", path.display()) }
}
