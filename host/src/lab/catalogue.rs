//! The labs there are: those that are part of the program, and folders that teachers write.

use std::borrow::Cow;
use std::path::Path;

use crate::error::{Problem, Refused, did_you_mean, quote};

use super::files::{self, Tree};
use super::manifest::{Kind, Manifest, Question};
use super::salt::Names;

mod embedded {
    /// The files of a lab, by their names in its folder.
    pub type Files = &'static [(&'static str, &'static [u8])];

    include!(concat!(env!("OUT_DIR"), "/labs.rs"));
}

/// The manifest of a lab, in its folder.
const MANIFEST: &str = "lab.toml";

/// A lab: what its manifest says, and its files.
#[derive(Clone, Debug)]
pub struct Lab {
    /// `07-retry-storm`, which is what the student's folder is called.
    pub folder: String,
    /// Where it lies on this machine; none of those that are part of the program.
    pub origin: Option<String>,
    pub manifest: Manifest,
    pub files: Tree,
    /// The name of its manifest in reports.
    named: String,
}

/// All labs that are part of the program, in the order of their numbers.
///
/// # Errors
/// One of them is wrong.
pub fn all() -> Result<Vec<Lab>, Refused> {
    embedded::FILES.iter().map(|(folder, files)| embedded_lab(folder, files)).collect()
}

fn embedded_lab(folder: &str, files: &'static [(&str, &[u8])]) -> Result<Lab, Refused> {
    let tree = files.iter().map(|(name, bytes)| ((*name).to_owned(), Cow::Borrowed(*bytes))).collect();
    Lab::of(folder, None, tree, &format!("{folder}/{MANIFEST}"))
}

/// The lab of this name: its number, its id, both, or the path of a folder.
///
/// # Errors
/// There is none, or its manifest is wrong.
pub fn find(name: &str) -> Result<Lab, Refused> {
    let is = |folder: &str| {
        let (number, id) = folder.split_once('-').unwrap_or((folder, ""));
        let number_is = |text: &str| {
            text.parse::<u32>().is_ok_and(|asked| number.parse() == Ok(asked)) && !text.starts_with('+')
        };
        name == folder || name == id || number_is(name)
    };
    if let Some((folder, files)) = embedded::FILES.iter().find(|(folder, _)| is(folder)) {
        return embedded_lab(folder, files);
    }
    let path = Path::new(name);
    if path.is_dir() {
        return of_folder(path);
    }
    let ids = embedded::FILES.iter().map(|(folder, _)| folder.split_once('-').map_or(*folder, |(_, id)| id));
    let problem = Problem::new(format!("there is no lab {}", quote(name)));
    let near = did_you_mean(name, "labs", ids);
    // All ids are no help to who has given a number.
    let help =
        if near.starts_with("did you mean") { near } else { "`simhost lab list` has all labs".to_owned() };
    Err(refused(problem.help(help)))
}

/// The lab in a folder of this machine.
///
/// # Errors
/// It is none, or its manifest is wrong.
pub fn of_folder(path: &Path) -> Result<Lab, Refused> {
    let shown = path.display().to_string();
    let whole = path.canonicalize().map_err(|error| refused(files::cannot("read", path, &error)))?;
    if !whole.join(MANIFEST).is_file() {
        let problem = Problem::new(format!("{} is no lab: it has no {MANIFEST}", quote(&shown)));
        return Err(refused(problem.help("`simhost lab list` has those that are part of simhost")));
    }
    let tree = files::read_tree(&whole).map_err(|problems| Refused::new(None, problems))?;
    let folder = whole.file_name().map_or_else(|| shown.clone(), |name| name.to_string_lossy().into_owned());
    let named = path.join(MANIFEST).display().to_string();
    Lab::of(&folder, Some(whole.display().to_string()), tree, &named)
}

fn refused(problem: Problem) -> Refused {
    Refused::new(None, vec![problem])
}

impl Lab {
    fn of(folder: &str, origin: Option<String>, files: Tree, named: &str) -> Result<Self, Refused> {
        let text = files.get(MANIFEST).map(|bytes| String::from_utf8_lossy(bytes)).unwrap_or_default();
        let manifest = Manifest::parse(named, &text)?;
        let shuffled = manifest.run.shuffle.iter().flatten();
        if let Some(name) = shuffled.into_iter().find(|name| **name == manifest.id) {
            let problem =
                Problem::new(format!("{} is a shuffled service and the id of the lab", quote(name)));
            return Err(refused(problem.help("give the lab another id")));
        }
        Ok(Self { folder: folder.to_owned(), origin, manifest, files, named: named.to_owned() })
    }

    /// The lab with the names of its services as this salt permutes them.
    ///
    /// # Errors
    /// Its manifest is wrong then.
    pub fn salted(&self, salt: &str) -> Result<Self, Refused> {
        let names = Names::new(&self.manifest.id, salt, &self.manifest.run.shuffle);
        let renamed = |bytes: &Cow<'static, [u8]>| match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Owned(names.apply(text).into_bytes()),
            Err(_) => bytes.clone(),
        };
        let files = self.files.iter().map(|(path, bytes)| (path.clone(), renamed(bytes))).collect();
        Self::of(&self.folder, self.origin.clone(), files, &self.named)
    }

    /// What a student is asked.
    pub fn questions(&self) -> impl Iterator<Item = &Question> {
        self.manifest.checks.iter().filter_map(|check| match &check.kind {
            Kind::Answer(question) => Some(question),
            _ => None,
        })
    }

    /// What `start` writes: the brief and the starter.
    pub fn starter(&self) -> Tree {
        let mut tree = files::below(&self.files, "start");
        tree.extend(self.files.get("README.md").map(|brief| ("README.md".to_owned(), brief.clone())));
        tree
    }

    /// A text file of the lab; empty if there is none.
    pub fn text(&self, path: &str) -> Cow<'_, str> {
        self.files.get(path).map(|bytes| String::from_utf8_lossy(bytes)).unwrap_or_default()
    }

    /// The starter with the files below `folder` in place of its own: a solution, or a wrong answer.
    pub fn variant(&self, folder: &str) -> Tree {
        let mut tree = files::below(&self.files, "start");
        tree.extend(files::below(&self.files, folder));
        tree
    }

    /// What lies beside the runs and the student never sees.
    pub fn hidden(&self) -> Tree {
        files::below(&self.files, "hidden")
    }
}
