//! Which files a run writes and which it reads. None that it writes may be another one
//! of them, however they are spelt: that one would be lost. All are looked at before one is written.

use std::fs;
#[cfg(unix)]
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::Problem;
use crate::files;
use crate::model::{Arrivals, Code, DoorFault, Draw, Effect, Model, Names, Replay, Traffic};
use crate::telemetry::env;

use super::options::{Destinations, Options};

/// A link that leads to a link, and so on, is followed this far, as Linux does.
const LINKS: usize = 40;

/// The files of a run, and what is wrong with them.
#[derive(Debug, Default)]
pub struct Files {
    known: Vec<Known>,
    problems: Vec<Problem>,
    /// Two flags name standard output: that is said once.
    is_stdout_shared: bool,
}

/// A file, and what it is to the run.
#[derive(Debug)]
struct Known {
    identity: Identity,
    what: String,
    is_read: bool,
}

/// What tells one file from all others.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Identity {
    /// Of one that exists: its device, and its number there.
    #[cfg(unix)]
    Inode(u64, u64),
    /// Of one that does not: where it will be.
    Place(PathBuf),
}

/// What is wrong with the files of a run.
pub fn problems(
    options: &Options,
    model: &Model,
    environment: &impl Fn(&str) -> Option<String>,
) -> Vec<Problem> {
    let both_on_stdout = both_on_stdout(&options.destinations);
    let mut files = Files { is_stdout_shared: both_on_stdout.is_some(), ..Files::default() };
    files.reads(&options.topology, "the topology itself");
    for path in guests(model) {
        files.reads(path, "a guest itself");
    }
    for (load, path) in lists(model) {
        files.reads(path, &format!("a file that the load {load} reads"));
    }
    for (name, path) in env::files(environment) {
        files.reads(&path, &format!("the file that {name} names"));
    }
    if !options.destinations.lines_on_stdout() {
        files.know(Identity::of_stdout(), "standard output", false);
    }
    if options.destinations.logs_on_stderr() {
        files.know(Identity::of_stderr(), "standard error", false);
    }
    // A new destination is sorted here: whether it is a file.
    let Destinations {
        out,
        truth,
        logs,
        picture,
        otlp: _,
        show: _,
        choice: _,
        json: _,
        exemplars: _,
        stdout: _,
    } = &options.destinations;
    if let Some(out) = out {
        files.writes(out, "--out");
    }
    if let Some(lines) = logs.as_ref().and_then(|logs| logs.out.as_ref()) {
        files.writes(lines, "--log-out");
    }
    if let Some(picture) = picture.as_ref().filter(|path| path.as_os_str() != "-") {
        files.writes(picture, "--out");
    }
    if let Some(truth) = truth {
        files.writes(truth, "--truth");
        for part in parts(options, truth) {
            files.writes(&part, "--truth");
        }
    }
    files.problems.extend(both_on_stdout);
    files.problems
}

/// Standard output takes the lines of one flag: readers could not tell those of two apart.
fn both_on_stdout(destinations: &Destinations) -> Option<Problem> {
    let mut flags = destinations.on_stdout();
    let ((first, one), (second, other)) = (flags.next()?, flags.next()?);
    let (one, other) = (one.display(), other.display());
    let problem = Problem::new(format!("{first} {one} and {second} {other} both want standard output"));
    Some(problem.help(format!("name a file for one of them: {second} FILE")))
}

fn guests(model: &Model) -> impl Iterator<Item = &Path> {
    let deployed = model.faults.iter().filter_map(|fault| match &fault.effect {
        Effect::Door(DoorFault::BadDeploy { code, .. }) => Some(code),
        _ => None,
    });
    let codes = model.services.iter().map(|service| &service.code).chain(deployed);
    codes.filter_map(|code| match code {
        Code::File { path, .. } => Some(path.as_path()),
        Code::Embedded(_) | Code::External(_) => None,
    })
}

/// The files that loads read, also those that are off.
fn lists(model: &Model) -> Vec<(&str, &Path)> {
    let mut lists = Vec::new();
    for load in &model.loads {
        if let Traffic::Open(Arrivals::Replay(replay)) = &load.traffic
            && let Replay::File { path, .. } = replay
        {
            lists.push((load.name.as_str(), path.as_path()));
        }
        let names = load.values.iter().filter_map(|value| match &value.draw {
            Draw::Names(Names::File { path, .. }) => Some(path.as_path()),
            _ => None,
        });
        lists.extend(names.map(|path| (load.name.as_str(), path)));
    }
    lists
}

impl Files {
    /// The run reads this file.
    fn reads(&mut self, path: &Path, what: &str) {
        self.know(Identity::of(path), what, true);
    }

    fn know(&mut self, identity: Option<Identity>, what: &str, is_read: bool) {
        self.known.extend(identity.map(|identity| Known { identity, what: what.to_owned(), is_read }));
    }

    /// The run writes this file, as `flag` says; `-` is standard output.
    fn writes(&mut self, path: &Path, flag: &str) {
        let is_stdout = path.as_os_str() == "-";
        let identity = if is_stdout { Identity::of_stdout() } else { Identity::of(path) };
        let Some(identity) = identity else { return };
        let shown = path.display();
        let unwritable = if is_stdout { None } else { files::can_create(path).err() };
        self.problems.extend(unwritable.map(|error| cannot_write(flag, path, &error)));
        let known = self.known.iter().find(|known| known.identity == identity);
        if let Some(known) = known.filter(|_| !(is_stdout && self.is_stdout_shared)) {
            let problem = match known {
                Known { is_read: true, what, .. } => {
                    let problem = Problem::new(format!("{flag} {shown} is {what}, and would be lost"));
                    problem.help(format!("name another file with {flag}"))
                }
                Known { what, .. } => Problem::new(format!("{what} and {flag} both name {shown}"))
                    .help("give each a file of its own"),
            };
            self.problems.push(problem);
        }
        self.know(Some(identity), flag, false);
    }
}

/// Files that the worlds behind the first write until the run is over, where `truth` is the file of
/// the whole.
pub fn parts(options: &Options, truth: &Path) -> Vec<PathBuf> {
    (1..options.worlds()).map(|shard| part(truth, shard)).collect()
}

/// Where a world behind the first writes until the run is over: `truth.jsonl.shard-3`.
fn part(path: &Path, shard: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".shard-{shard}"));
    PathBuf::from(name)
}

/// The problem of a file that `flag` names and that cannot be created.
pub fn cannot_write(flag: &str, path: &Path, error: &io::Error) -> Problem {
    let problem = Problem::new(format!("{flag} {}: {error}", path.display()));
    problem.help("name a file in a folder that exists and can be written, or - for stdout")
}

impl Identity {
    /// None of what is no file, such as a pipe or a device, and of what names a file that
    /// is open already, such as `/dev/stdout`.
    fn of(path: &Path) -> Option<Self> {
        if is_open_already(path) {
            return None;
        }
        match fs::metadata(path) {
            Ok(metadata) => Self::existing(&metadata, path),
            Err(_) => Some(Self::Place(place(path))),
        }
    }

    /// None where it is no file.
    #[cfg(unix)]
    fn of_stdout() -> Option<Self> {
        Self::of_stream(&io::stdout())
    }

    /// None where it is no file.
    #[cfg(unix)]
    fn of_stderr() -> Option<Self> {
        Self::of_stream(&io::stderr())
    }

    #[cfg(unix)]
    fn of_stream(stream: &impl std::os::fd::AsFd) -> Option<Self> {
        let file = File::from(stream.as_fd().try_clone_to_owned().ok()?);
        Self::existing(&file.metadata().ok()?, Path::new("-"))
    }

    #[cfg(not(unix))]
    const fn of_stdout() -> Option<Self> {
        None
    }

    #[cfg(not(unix))]
    const fn of_stderr() -> Option<Self> {
        None
    }

    #[cfg(unix)]
    fn existing(metadata: &fs::Metadata, _path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        metadata.is_file().then(|| Self::Inode(metadata.dev(), metadata.ino()))
    }

    #[cfg(not(unix))]
    fn existing(metadata: &fs::Metadata, path: &Path) -> Option<Self> {
        metadata.is_file().then(|| Self::Place(path.canonicalize().unwrap_or_else(|_| path.to_owned())))
    }
}

/// Whether a path names a file by its descriptor in a process: `/dev/stderr`, `/dev/fd/3`, `/proc/self/fd/3`.
fn is_open_already(path: &Path) -> bool {
    let names: Vec<_> = path.iter().filter_map(|name| name.to_str()).collect();
    matches!(names[..], ["/", "dev", "stdout" | "stderr"] | ["/", "dev", "fd", _] | ["/", "proc", _, "fd", _])
}

/// Where a file that does not exist will be, at the end of all links; as it is spelt
/// where there is no such folder.
fn place(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let Ok(target) = fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).canonicalize();
    match (folder, path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path,
    }
}
