//! Files and folders that are there for a while. A signal that ends the program leaves none of them behind.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::Duration;

/// Those that are there. It is held while one is made, removed or named otherwise.
static THERE: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// How often the end of the program tries to remove what another thread still makes or fills.
const TRIES: u32 = 100;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(5);

/// A file or a folder that is removed when this is dropped, or when the program [ends](end_program) before.
#[derive(Debug)]
pub struct Temporary<T: AsRef<Path>> {
    /// None when it has settled.
    what: Option<T>,
    path: PathBuf,
}

impl<T: AsRef<Path>> Temporary<T> {
    /// Makes it. The value that `make` gives removes it when it is dropped.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn make(make: impl FnOnce() -> io::Result<T>) -> io::Result<Self> {
        let mut there = hold();
        let what = make()?;
        let path = what.as_ref().to_owned();
        there.insert(path.clone());
        Ok(Self { what: Some(what), path })
    }

    /// Lets it stay: `done` gives it its lasting name.
    pub fn settle<R>(mut self, done: impl FnOnce(T) -> R) -> R {
        let mut there = hold();
        let done = done(self.what.take().expect(IS_THERE));
        there.remove(&self.path);
        done
    }
}

/// Why a temporary file is expected.
const IS_THERE: &str = "it settles only once";

impl<T: AsRef<Path>> Deref for Temporary<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.what.as_ref().expect(IS_THERE)
    }
}

impl<T: AsRef<Path>> DerefMut for Temporary<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.what.as_mut().expect(IS_THERE)
    }
}

impl<T: AsRef<Path>> Drop for Temporary<T> {
    fn drop(&mut self) {
        if let Some(what) = self.what.take() {
            let mut there = hold();
            drop(what);
            there.remove(&self.path);
        }
    }
}

/// As long as this is held, the program does not [end](end_program) by a signal.
pub(super) fn hold() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    THERE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the program at once. What is temporary is removed before.
pub fn end_program(code: i32) -> ! {
    // It stays held to the end: nothing temporary is made any more.
    let there = (0..TRIES).find_map(|_| match THERE.try_lock() {
        Ok(there) => Some(there),
        Err(TryLockError::Poisoned(there)) => Some(there.into_inner()),
        Err(TryLockError::WouldBlock) => {
            thread::park_timeout(PAUSE);
            None
        }
    });
    there.iter().flat_map(|there| there.iter()).for_each(|path| remove(path));
    std::process::exit(code)
}

/// Removes a file, or a folder that another thread may still fill.
fn remove(path: &Path) {
    for _ in 0..TRIES {
        let Ok(about) = fs::symlink_metadata(path) else { return };
        let removed = if about.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        if removed.is_err() {
            thread::park_timeout(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_known(path: &Path) -> bool {
        hold().contains(path)
    }

    #[test]
    fn what_is_temporary_is_known_until_it_is_gone_or_settles() {
        let make = || Temporary::make(tempfile::tempdir).expect("a folder");
        let (gone, settled) = (make(), make());
        let paths = [gone.path(), settled.path()].map(Path::to_owned);
        assert!(paths.iter().all(|path| path.exists() && is_known(path)));
        drop(gone);
        let kept = settled.settle(tempfile::TempDir::keep);
        assert!(!paths.iter().any(|path| is_known(path)));
        assert_eq!([paths[0].exists(), kept.exists()], [false, true]);
        remove(&kept);
        assert!(!kept.exists());
    }
}
