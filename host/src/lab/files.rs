//! Files of labs and of students. What is written replaces nothing that is there; what is read of a
//! submission stays within its folder.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};

use crate::error::{Problem, quote};
use crate::files::{self, Temporary, Unreadable};

/// Bytes of a file of a lab, or of a submission.
pub const FILE_AT_MOST: u64 = 4 << 20;

/// Files of a lab.
pub const FILES_AT_MOST: usize = 1_000;

/// Files by their paths below a folder, with `/`.
pub type Tree = BTreeMap<String, Cow<'static, [u8]>>;

/// The manifest of a guest's crate, as labs store it: cargo packs no folder that has a `Cargo.toml`.
const STORED_MANIFEST: &str = "Cargo.toml.in";

/// What is below `prefix` in a tree, by the names that it has in a student's folder.
pub fn below(tree: &Tree, prefix: &str) -> Tree {
    let files = tree.iter().filter_map(|(path, bytes)| {
        let path = path.strip_prefix(prefix)?.strip_prefix('/')?;
        let path = match path.strip_suffix(STORED_MANIFEST) {
            Some(folder) if folder.is_empty() || folder.ends_with('/') => format!("{folder}Cargo.toml"),
            _ => path.to_owned(),
        };
        Some((path, bytes.clone()))
    });
    files.collect()
}

/// All files of a lab's folder, without what is hidden or built.
///
/// # Errors
/// What cannot be read, is too large or too much; every symbolic link that leads out of the lab.
pub fn read_tree(lab: &Path) -> Result<Tree, Vec<Problem>> {
    let one = |problem| vec![problem];
    let lab = lab.canonicalize().map_err(|error| one(cannot("read", lab, &error)))?;
    let (mut tree, mut astray) = (Tree::new(), Vec::new());
    let mut folders = vec![(lab.clone(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(|error| one(cannot("read", &folder, &error)))?;
        for entry in entries {
            let entry = entry.map_err(|error| one(cannot("read", &folder, &error)))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') || name == "target" {
                continue;
            }
            let (path, name) = (entry.path(), format!("{prefix}{name}"));
            if let Err(problem) = stay_in_lab(&lab, &path, &name) {
                astray.push(problem);
                continue;
            }
            if path.is_dir() {
                folders.push((path, format!("{name}/")));
                continue;
            }
            if tree.len() == FILES_AT_MOST {
                let what = format!("{} has more than {FILES_AT_MOST} files", shown(&folder));
                return Err(one(Problem::new(what).help("name the folder of one lab")));
            }
            tree.insert(name, Cow::Owned(read(&path).map_err(one)?));
        }
    }
    if astray.is_empty() { Ok(tree) } else { Err(astray) }
}

/// Where the links of a lab may lead: into the lab; to the folder `sdk` beside it, which labs share; and to
/// `guests` beside the folder of labs, which that folder is made of.
const SHARED: [&str; 2] = ["../sdk", "../../guests"];

/// Refuses a symbolic link that leads elsewhere: what it leads to would be handed to students.
fn stay_in_lab(lab: &Path, path: &Path, name: &str) -> Result<(), Problem> {
    let Ok(to) = fs::read_link(path) else { return Ok(()) };
    let whole = path.canonicalize().ok();
    let shared = SHARED.iter().filter_map(|shared| lab.join(shared).canonicalize().ok());
    let is_within = |whole: &PathBuf| {
        let mut roots = shared.chain([lab.to_owned()]);
        to.is_relative() && roots.any(|root| whole.starts_with(root))
    };
    let ends = |whole: &PathBuf| !path.parent().is_some_and(|folder| folder.starts_with(whole));
    let why = match &whole {
        None => "which is not there",
        Some(whole) if !is_within(whole) => "which is not in the folder of the lab",
        Some(whole) if !ends(whole) => "which leads to the link itself again",
        Some(_) => return Ok(()),
    };
    let what = format!("{} of the lab is a symbolic link to {}, {why}", quote(name), shown(&to));
    Err(Problem::new(what).help("put the file itself into the folder of the lab"))
}

/// A file within its bound.
///
/// # Errors
/// Why it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    files::read(path, FILE_AT_MOST).map_err(|reason| {
        let help = match reason {
            Unreadable::Missing => return missing(path),
            Unreadable::Forbidden => "make the file readable for this user",
            Unreadable::TooLarge(_) => "is this the right file?",
            _ => "put a file in its place",
        };
        let problem = Problem::new(format!("cannot read {}: {reason}", shown(path))).help(help);
        match reason {
            Unreadable::Forbidden | Unreadable::Failed(_) => problem.of_surroundings(),
            _ => problem,
        }
    })
}

/// A file of a lab that is not in its folder: how to have it again, or which one there may be meant.
pub fn missing(path: &Path) -> Problem {
    let problem = Problem::new(format!("cannot read {}: {}", shown(path), Unreadable::Missing));
    let reset = "`simhost lab reset` writes the files of the lab again";
    match (path.file_name(), meant(path)) {
        (Some(name), Some(meant)) => {
            let name = quote(&name.to_string_lossy());
            problem.help(format!("{} is there: give it the name {name}", quote(&meant))).and_help(reset)
        }
        _ => problem.help(reset),
    }
}

/// A file beside this one that has its name but for capitals, or with what programs add, as
/// `topology.toml.txt` and `topology (1).toml` have.
fn meant(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.to_lowercase();
    let (stem, ending) = name.split_at(name.find('.').unwrap_or(name.len()));
    let is_meant = |other: &String| {
        let other = other.to_lowercase();
        let behind = other.strip_prefix(&*name);
        let within = || other.strip_prefix(stem)?.strip_suffix(ending);
        let is_added =
            |added: &str| added.is_empty() || added.starts_with(['.', '(']) || added.starts_with(" (");
        [behind, within()].into_iter().flatten().any(is_added)
    };
    let entries = fs::read_dir(path.parent()?).ok()?.flatten().take(FILES_AT_MOST);
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let names = files.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(is_meant).min()
}

/// A text file within its bound.
///
/// # Errors
/// Why it cannot be read.
pub fn read_text(path: &Path) -> Result<String, Problem> {
    let text = String::from_utf8(read(path)?);
    text.map_err(|_| Problem::new(format!("{} is not UTF-8 text", shown(path))).help("save it as UTF-8"))
}

/// Makes a folder with these files, whole or not at all.
///
/// # Errors
/// There is something already, or the system refuses it.
pub fn make_folder(folder: &Path, tree: &Tree) -> Result<(), Problem> {
    if fs::symlink_metadata(folder).is_ok() && !is_empty_folder(folder) {
        let what = format!("{} is there already", quote(&folder.display().to_string()));
        let help = "name another folder with --into; `simhost lab reset` in that folder starts it anew";
        return Err(Problem::new(what).help(help));
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|error| cannot("make", parent, &error))?;
    // Beside the folder, so that renaming it is enough.
    let made = Temporary::make(|| beside().tempdir_in(parent));
    let made = made.map_err(|error| cannot("make a folder in", parent, &error))?;
    // What a failing machine loses of them, `simhost lab reset` writes again.
    for (path, bytes) in tree {
        write_new(&made.path().join(path), bytes)
            .map_err(|error| cannot("write", &folder.join(path), &error))?;
    }
    open_to_others(made.path(), 0o755).map_err(|error| cannot("make", folder, &error))?;
    // Once it has another name, there is nothing left to remove.
    let renamed = made.settle(|made| fs::rename(made.path(), folder).map(|()| drop(made.keep())));
    renamed.map_err(|error| cannot("make", folder, &error))
}

/// How files and folders are made that get their lasting names when they are whole.
fn beside() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".simhost-lab-");
    builder
}

/// A folder for a while, where this machine has those.
///
/// # Errors
/// The system refuses it.
pub fn folder_for_a_while() -> Result<Temporary<tempfile::TempDir>, Problem> {
    Temporary::make(|| tempfile::Builder::new().prefix("simhost-lab-").tempdir())
        .map_err(|error| cannot("make a folder in", &std::env::temp_dir(), &error))
}

/// What is temporary is for its owner alone; this is to be as any other file or folder.
#[cfg(unix)]
fn open_to_others(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn open_to_others(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}

fn is_empty_folder(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// Writes a file that is not there yet.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<fs::File> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = fs::File::options().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    Ok(file)
}

/// Writes a file whole or not at all, in place of one that is there.
///
/// # Errors
/// The system refuses it; what was there is as it was.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || {
        let mut file = Temporary::make(|| beside().tempfile_in(folder))?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        open_to_others(file.path(), 0o644)?;
        file.settle(|file| file.persist(path)).map(drop).map_err(|failed| failed.error)
    };
    write().map_err(|error| cannot("write", path, &error))
}

/// Writes these files, and moves those that are there and differ into a folder of their own, whose name is
/// given back; with them those of `also` that are there. All are written beside their places first, so that
/// nothing is moved if there is no room for them.
///
/// # Errors
/// The system refuses it. Nothing is lost then: what was moved lies in the folder that the problem names.
pub fn replace(folder: &Path, tree: &Tree, also: &[&str]) -> Result<Option<String>, Problem> {
    let differs = |path: &str, bytes: &[u8]| {
        way_to(folder, path).is_some() || !fs::read(folder.join(path)).is_ok_and(|there| there == bytes)
    };
    let new: Vec<_> = tree.iter().filter(|(path, bytes)| differs(path, bytes)).collect();
    if new.is_empty() && !also.iter().any(|path| fs::symlink_metadata(folder.join(path)).is_ok()) {
        return Ok(None);
    }
    let unchanged = |problem: Problem| problem.and_help("no file of yours was changed");
    let beside = Temporary::make(|| beside().tempdir_in(folder));
    let beside = beside.map_err(|error| unchanged(cannot("make a folder in", folder, &error)))?;
    for (path, bytes) in &new {
        write_new(&beside.path().join(path), bytes)
            .and_then(|file| file.sync_all())
            .map_err(|error| unchanged(cannot("write", &folder.join(path), &error)))?;
    }
    let aside = free_name(folder);
    let mut moved = false;
    let mut move_away = |path: &str| {
        let (from, to) = (folder.join(path), folder.join(&aside).join(path));
        if fs::symlink_metadata(&from).is_err() {
            return Ok(());
        }
        let done = to.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::rename(&from, &to));
        moved |= done.is_ok();
        done.map_err(|error| ("move", from, error))
    };
    let swap = || {
        for (path, _) in new {
            let (from, to) = (beside.path().join(path), folder.join(path));
            move_away(&way_to(folder, path).unwrap_or_else(|| path.clone()))?;
            let put = to.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::rename(from, &to));
            put.map_err(|error| ("write", to, error))?;
        }
        also.iter().try_for_each(|path| move_away(path))
    };
    let done = swap();
    match (done, moved) {
        (Ok(()), moved) => Ok(moved.then_some(aside)),
        (Err((what, path, error)), true) => {
            let help = format!("your files are in {aside}; give the command again for the others");
            Err(cannot(what, &path, &error).and_help(&help))
        }
        (Err((what, path, error)), false) => Err(unchanged(cannot(what, &path, &error))),
    }
}

/// The part of a path below a folder that is no folder, and in the way of what is behind it.
fn way_to(folder: &Path, path: &str) -> Option<String> {
    let mut parts = path.match_indices('/').map(|(at, _)| &path[..at]);
    let is_in_the_way =
        |part: &&str| fs::symlink_metadata(folder.join(part)).is_ok_and(|about| !about.is_dir());
    parts.find(is_in_the_way).map(str::to_owned)
}

/// `before-reset-1`, or the next that is free.
fn free_name(folder: &Path) -> String {
    let names = (1_u32..).map(|number| format!("before-reset-{number}"));
    let mut free = names.filter(|name| fs::symlink_metadata(folder.join(name)).is_err());
    free.next().expect("there is always one more")
}

/// Refuses a path that leads out of a folder: by its parts, or by a link on its way. `what` names who
/// says the path.
///
/// # Errors
/// It does.
pub fn stay_within(folder: &Path, path: &Path, what: &str) -> Result<(), Problem> {
    let help = "put the file itself into the folder of the lab";
    let Ok(below) = path.strip_prefix(folder) else {
        return Err(Problem::new(format!("{what} leads out of the folder: {}", shown(path))).help(help));
    };
    let mut at = folder.to_owned();
    for part in below.components() {
        if !matches!(part, Component::Normal(_) | Component::CurDir) {
            return Err(Problem::new(format!("{what} leads out of the folder: {}", shown(below))).help(help));
        }
        at.push(part);
        if fs::symlink_metadata(&at).is_ok_and(|about| about.is_symlink()) {
            return Err(Problem::new(format!("{what} is a symbolic link: {}", shown(below))).help(help));
        }
    }
    Ok(())
}

/// What the system refuses, with what to do about it.
pub fn cannot(what: &str, path: &Path, error: &io::Error) -> Problem {
    let problem = Problem::new(format!("cannot {what} {}: {error}", shown(path))).of_surroundings();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            problem.help("the disk is full: make room and give the command again")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            problem.help("choose a folder that you may write to")
        }
        _ => problem,
    }
}

fn shown(path: &Path) -> String {
    quote(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &'static str)]) -> Tree {
        files.iter().map(|(path, text)| ((*path).to_owned(), Cow::Borrowed(text.as_bytes()))).collect()
    }

    #[test]
    fn a_folder_that_is_there_is_never_written_into() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path().join("lab");
        make_folder(&folder, &tree(&[("a.toml", "one"), ("guest/b.rs", "two")])).expect("it is made");
        assert_eq!(fs::read_to_string(folder.join("guest/b.rs")).expect("a file"), "two");
        let refused = make_folder(&folder, &tree(&[("a.toml", "other")])).expect_err("it is there");
        assert!(refused.message.contains("is there already"), "{}", refused.message);
        assert_eq!(fs::read_to_string(folder.join("a.toml")).expect("a file"), "one");
        // Nothing is left beside it.
        assert_eq!(fs::read_dir(home.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn what_is_replaced_is_moved_aside() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path().join("lab");
        let start = tree(&[("a.toml", "one"), ("b.toml", "two")]);
        make_folder(&folder, &start).expect("it is made");
        fs::write(folder.join("a.toml"), "mine").expect("written");
        let again = |also: &[&str]| replace(&folder, &start, also).expect("replaced");
        assert_eq!(again(&["none.txt"]).as_deref(), Some("before-reset-1"));
        let read = |name: &str| fs::read_to_string(folder.join(name)).expect("a file");
        assert_eq!([read("a.toml"), read("before-reset-1/a.toml")], ["one", "mine"]);
        assert!(!folder.join("before-reset-1/b.toml").exists());
        assert_eq!(again(&["none.txt"]), None);
        fs::write(folder.join("made.txt"), "a recording").expect("written");
        assert_eq!(again(&["made.txt"]).as_deref(), Some("before-reset-2"));
        assert_eq!(read("before-reset-2/made.txt"), "a recording");
        assert!(!folder.join("made.txt").exists());
    }

    #[cfg(unix)]
    #[test]
    fn what_is_in_the_way_of_a_folder_is_moved_aside_and_never_followed() {
        let home = tempfile::tempdir().expect("a folder");
        let (folder, other) = (home.path().join("lab"), home.path().join("other"));
        let start = tree(&[("guest/src/lib.rs", "one")]);
        make_folder(&folder, &start).expect("it is made");
        fs::rename(folder.join("guest"), &other).expect("moved");
        fs::write(other.join("src/lib.rs"), "mine").expect("written");
        std::os::unix::fs::symlink(&other, folder.join("guest")).expect("a link");
        assert_eq!(replace(&folder, &start, &[]).expect("replaced").as_deref(), Some("before-reset-1"));
        let read = |path: PathBuf| fs::read_to_string(path).expect("a file");
        assert_eq!(read(folder.join("guest/src/lib.rs")), "one");
        assert_eq!(
            [read(other.join("src/lib.rs")), read(folder.join("before-reset-1/guest/src/lib.rs"))],
            ["mine"; 2]
        );
        fs::remove_dir_all(folder.join("guest")).expect("removed");
        fs::write(folder.join("guest"), "a file").expect("written");
        assert_eq!(replace(&folder, &start, &[]).expect("replaced").as_deref(), Some("before-reset-2"));
        assert_eq!(read(folder.join("before-reset-2/guest")), "a file");
    }

    #[test]
    fn paths_out_of_the_folder_are_refused() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path();
        let refused = |path: &str| stay_within(folder, &folder.join(path), "the guest of x").is_err();
        assert!(refused("../x.wasm") && refused("a/../../x.wasm") && refused("/etc/passwd"));
        assert!(!refused("a/x.wasm") && !refused("./x.wasm"));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("/etc", folder.join("link")).expect("a link");
            assert!(refused("link/passwd"));
        }
    }

    #[test]
    fn the_manifest_of_a_guest_gets_its_name() {
        let files = tree(&[("start/guest/Cargo.toml.in", "x"), ("start/a.toml", "y"), ("other/b", "z")]);
        assert_eq!(below(&files, "start").into_keys().collect::<Vec<_>>(), ["a.toml", "guest/Cargo.toml"]);
    }
}
