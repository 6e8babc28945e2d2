//! What a student does next: commands that can be copied where they are printed.

use std::path::Path;

use crate::lab::catalogue::{self, Lab};
use crate::lab::state::{self, State};

/// Folders in which a lab is looked for that a student may have meant.
const LOOKED_AT: usize = 1_000;

/// Goes to a lab's folder, for commands that are meant for it; nothing where that is this one.
pub fn go(folder: &Path) -> String {
    if is_here(folder) { String::new() } else { format!("  cd {}\n", word(folder)) }
}

/// The folder as an argument of a command that has this one as its default.
pub fn argument(folder: &Path) -> String {
    if is_here(folder) { String::new() } else { format!(" {}", word(folder)) }
}

/// The lab behind `lab`, whose files are in `folder`, if it is not started yet.
pub fn behind(folder: &Path, lab: &str) -> Option<Lab> {
    let labs = catalogue::all().unwrap_or_default();
    let behind = labs.into_iter().skip_while(|one| one.folder != lab).nth(1);
    behind.filter(|next| !folder.join("..").join(&next.folder).join(state::FILE).exists())
}

/// Folders of labs below `folder`, of the lab with this number or id, or of all.
pub fn started(folder: &Path, name: Option<&str>) -> Vec<String> {
    let wanted = name.map(catalogue::find).and_then(Result::ok).map(|lab| lab.manifest.id);
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().take(LOOKED_AT);
    let is_meant = |entry: &std::fs::DirEntry| {
        let state = State::read(&entry.path()).ok().flatten();
        state.is_some_and(|state| name.is_none() || wanted.as_ref() == Some(&state.lab))
    };
    let names = entries.filter(is_meant).map(|entry| word(Path::new(&entry.file_name())));
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn is_here(folder: &Path) -> bool {
    folder == Path::new(".")
}

/// A path as a shell reads it.
fn word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%:,=".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_a_folder_that_is_not_this_one_as_a_shell_reads_it() {
        let shown = |path: &str| (go(Path::new(path)), argument(Path::new(path)));
        assert_eq!(shown("."), (String::new(), String::new()));
        assert_eq!(shown("03-one"), ("  cd 03-one\n".to_owned(), " 03-one".to_owned()));
        assert_eq!(shown("it's").1, " 'it'\\''s'");
    }
}
