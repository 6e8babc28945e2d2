//! The cache of compiled guests: a folder, and who may have written to it.
//!
//! What is in it is executed, as part of this program and outside of any sandbox. Whoever
//! can write to it can do what the user can. So it is used only if nobody else could: see
//! [`private`]. An entry's name is a hash of the component, of the compiler's version and
//! of the engine's settings; wasmtime makes and reads the entries.

use std::io;
use std::path::{Path, PathBuf};

use wasmtime::{Cache, CacheConfig};

/// The cache, or why there is none: it only saves time. Where nothing says where caches
/// are kept, there is neither.
pub(super) fn open() -> (Option<Cache>, Option<String>) {
    let Some(base) = base() else { return (None, None) };
    match prepared(&base) {
        Ok(cache) => (Some(cache), None),
        Err(why) => (None, Some(format!("compiled guests are not cached: {why}"))),
    }
}

/// The folder of the user's caches (XDG Base Directory Specification 0.8).
fn base() -> Option<PathBuf> {
    let given = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let base = given.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    base.is_absolute().then_some(base)
}

fn prepared(base: &Path) -> Result<Cache, String> {
    let folder = private::folder(&base.join("simhost"), "compiled")?;
    let mut config = CacheConfig::new();
    config.with_directory(folder);
    Cache::new(config).map_err(|error| error.to_string())
}

/// Says which path it was that could not be used.
fn at(path: &Path) -> impl Fn(io::Error) -> String {
    move |error| format!("{}: {error}", path.display())
}

#[cfg(unix)]
mod private {
    //! A folder that nobody but its user can have written to.

    use std::fs::{self, DirBuilder, Metadata};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
    use std::path::{Path, PathBuf};

    use super::at;

    /// Entries of the folder that are looked at. One with more is not used.
    const ENTRIES: usize = 65_536;

    /// Folders within one another that are looked at.
    const DEPTH: usize = 8;

    const WRITABLE_BY_OTHERS: u32 = 0o022;
    const STICKY: u32 = 0o1000;
    const ANYTHING_BY_OTHERS: u32 = 0o077;

    /// Makes the folder `name` in `around`, for its user alone, and looks at it: it and all in
    /// it have to be the user's own, no symbolic links, and out of the reach of others; and
    /// whoever could put another in its place has to be the user or the system.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn folder(around: &Path, name: &str) -> Result<PathBuf, String> {
        let made = |path: &Path| DirBuilder::new().recursive(true).mode(0o700).create(path);
        made(around).map_err(at(around))?;
        // Links above it are resolved once; what they lead to is then looked at.
        let around = fs::canonicalize(around).map_err(at(around))?;
        around.ancestors().try_for_each(above)?;
        let folder = around.join(name);
        made(&folder).map_err(at(&folder))?;
        let data = fs::symlink_metadata(&folder).map_err(at(&folder))?;
        own(&folder, &data)?;
        if !data.is_dir() {
            return Err(format!("{} is not a folder", folder.display()));
        }
        unwritable(&folder, &data)?;
        let is_closed = data.permissions().mode() & ANYTHING_BY_OTHERS == 0;
        within(&folder, is_closed, 0, &mut 0)?;
        Ok(folder)
    }

    fn user() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    /// A folder above: others cannot put something else in the place of what is in it.
    fn above(path: &Path) -> Result<(), String> {
        let data = fs::symlink_metadata(path).map_err(at(path))?;
        if data.uid() != user() && data.uid() != 0 {
            return Err(format!("{} belongs to another user", path.display()));
        }
        if data.permissions().mode() & STICKY != 0 {
            return Ok(());
        }
        unwritable(path, &data)
    }

    /// What is at `path`, itself, has to be the user's own, and no link.
    fn own(path: &Path, data: &Metadata) -> Result<(), String> {
        if data.is_symlink() {
            return Err(format!("{} is a symbolic link", path.display()));
        }
        if data.uid() != user() {
            return Err(format!("{} belongs to another user", path.display()));
        }
        Ok(())
    }

    /// Something in the folder, which another run may have removed meanwhile: then there is none.
    fn left<T>(path: &Path, found: io::Result<T>) -> Result<Option<T>, String> {
        match found {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            found => found.map(Some).map_err(at(path)),
        }
    }

    fn unwritable(path: &Path, data: &Metadata) -> Result<(), String> {
        if data.permissions().mode() & WRITABLE_BY_OTHERS == 0 {
            return Ok(());
        }
        Err(format!("others can write to {}; remove it, or take that right away", path.display()))
    }

    /// All that is in a folder; what modes say counts where others get that far.
    fn within(folder: &Path, is_closed: bool, depth: usize, seen: &mut usize) -> Result<(), String> {
        let Some(entries) = left(folder, fs::read_dir(folder))? else { return Ok(()) };
        for entry in entries {
            let path = entry.map_err(at(folder))?.path();
            *seen += 1;
            if *seen > ENTRIES || depth > DEPTH {
                return Err(format!("{} holds too much to be looked at; remove it", folder.display()));
            }
            let Some(data) = left(&path, fs::symlink_metadata(&path))? else { continue };
            own(&path, &data)?;
            if !is_closed {
                unwritable(&path, &data)?;
            }
            match (data.is_dir(), data.is_file()) {
                (true, _) => within(&path, is_closed, depth + 1, seen)?,
                // It has no name any more where it was removed meanwhile.
                (_, true) if data.nlink() <= 1 => {}
                _ => return Err(format!("{} is not a file of its own", path.display())),
            }
        }
        Ok(())
    }

    #[cfg(test)]
    mod tests {
        use std::os::unix::fs::symlink;
        use std::sync::atomic::{AtomicBool, Ordering};
        use std::thread;

        use tempfile::TempDir;

        use super::*;

        /// A cache of a former run, with an entry.
        fn used() -> (TempDir, PathBuf, PathBuf) {
            let base = tempfile::tempdir().unwrap();
            let folder = folder(base.path(), "compiled").unwrap();
            fs::create_dir(folder.join("modules")).unwrap();
            let entry = folder.join("modules/entry");
            fs::write(&entry, "code").unwrap();
            (base, folder, entry)
        }

        fn chmod(path: &Path, mode: u32) {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }

        #[track_caller]
        fn refused(base: &TempDir, why: &str) {
            let said = folder(base.path(), "compiled").unwrap_err();
            assert!(said.contains(why), "{said}");
        }

        #[test]
        fn a_cache_is_made_for_its_user_alone_and_used_again() {
            let (base, made, _) = used();
            assert_eq!(fs::metadata(&made).unwrap().permissions().mode() & 0o777, 0o700);
            assert_eq!(folder(base.path(), "compiled").unwrap(), made);
        }

        #[test]
        fn what_another_run_removes_meanwhile_is_no_reason_to_refuse_the_cache() {
            let (_base, folder, entry) = used();
            assert_eq!(within(&folder.join("gone"), true, 0, &mut 0), Ok(()));
            assert!(left(&entry, fs::symlink_metadata(&entry)).unwrap().is_some());
            fs::remove_file(&entry).unwrap();
            assert!(left(&entry, fs::symlink_metadata(&entry)).unwrap().is_none());
            // Anything else than that there is nothing is one.
            assert!(left(&entry, fs::read_dir(folder.join("modules/entry/below"))).unwrap().is_none());
            fs::write(&entry, "code").unwrap();
            assert!(left(&entry, fs::read_dir(&entry)).is_err());
        }

        /// Entries come and go all the while.
        #[test]
        fn a_cache_is_used_while_others_remove_entries() {
            let (base, made, _) = used();
            let is_over = AtomicBool::new(false);
            thread::scope(|scope| {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        let module = made.join("modules/coming");
                        fs::create_dir_all(&module).unwrap();
                        fs::write(module.join("entry"), "code").unwrap();
                        fs::remove_dir_all(&module).unwrap();
                    }
                });
                let looks: Vec<_> = (0..500).map(|_| folder(base.path(), "compiled")).collect();
                is_over.store(true, Ordering::Relaxed);
                assert!(looks.iter().all(Result::is_ok), "{looks:?}");
            });
        }

        #[test]
        fn a_cache_that_others_can_write_to_is_refused() {
            let (base, folder, _) = used();
            chmod(&folder, 0o770);
            refused(&base, "others can write to");
            chmod(&folder, 0o702);
            refused(&base, "others can write to");
        }

        #[test]
        fn a_cache_below_a_folder_that_others_can_write_to_is_refused() {
            let (base, ..) = used();
            chmod(base.path(), 0o777);
            refused(&base, "others can write to");
            // What is in a sticky folder, only its owner can move.
            chmod(base.path(), 0o1777);
            assert!(folder(base.path(), "compiled").is_ok());
        }

        #[test]
        fn an_entry_that_others_can_write_to_counts_where_they_get_that_far() {
            let (base, made, entry) = used();
            chmod(&entry, 0o664);
            assert!(folder(base.path(), "compiled").is_ok(), "nobody else gets into the folder");
            chmod(&made, 0o755);
            refused(&base, "others can write to");
        }

        #[test]
        fn links_are_not_followed() {
            let (base, folder, entry) = used();
            let elsewhere = tempfile::tempdir().unwrap();
            fs::rename(&entry, elsewhere.path().join("entry")).unwrap();
            symlink(elsewhere.path().join("entry"), &entry).unwrap();
            refused(&base, "entry is a symbolic link");
            fs::remove_dir_all(&folder).unwrap();
            symlink(elsewhere.path(), &folder).unwrap();
            refused(&base, "compiled is a symbolic link");
        }

        #[test]
        fn an_entry_with_a_second_name_elsewhere_is_refused() {
            let (base, _, entry) = used();
            fs::hard_link(&entry, base.path().join("another")).unwrap();
            refused(&base, "entry is not a file of its own");
        }
    }
}

#[cfg(not(unix))]
mod private {
    use std::path::{Path, PathBuf};

    /// # Errors
    /// Always: who may write to a folder is looked at on Unix only.
    pub fn folder(_: &Path, _: &str) -> Result<PathBuf, String> {
        Err("whether others can write to the cache cannot be told on this system".to_owned())
    }
}
