//! What the author of a lab wants to know: the starter fails, the solution passes, each wrong answer fails by
//! the check that is to catch it, hints exist, links lead somewhere, and nothing names the answer.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Stopwatch;
use crate::error::{Problem, Refused, quote};
use crate::report::words::number;

use super::answers;
use super::catalogue::Lab;
use super::files::{self, Tree};
use super::judge::{Bench, Starts};
use super::manifest::{FROZEN_CHECK, Question};
use super::salt;
use super::state;
use super::told::Told;
use super::verdict::Verdict;

/// Hints of a lab: where to look, what it is, how to mend it.
const HINTS: usize = 3;

/// Seeds at which a wrong answer is tried first: a check that fails at one of them has failed.
const FIRST_SEEDS: usize = 2;

/// The share of the points that the starter may have, at most: nobody has earned them.
const FREE_AT_MOST: f64 = 0.2;

/// Salts that a lab with a recording is tried with: what is right follows from the salt there.
const SALTS: usize = 8;

/// Salts at most, until each of several hidden topologies was drawn.
const SALTS_AT_MOST: usize = 200;

/// What is right with one salt or another, by the keys of questions.
type RightAnswers = BTreeMap<String, BTreeSet<String>>;

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    pub problems: Vec<String>,
    /// The longest check.
    pub longest: Duration,
    pub checks: u32,
}

/// Examines a lab over `seeds` seeds with no salt, and over as many with this one, as are the names.
///
/// # Errors
/// Its files are so wrong that nothing can be judged.
pub fn examine(lab: &Lab, seeds: usize, salt: &str, told: &Told) -> Result<Findings, Refused> {
    let mut findings = Findings { problems: on_paper(lab), ..Findings::default() };
    let seeds = if lab.manifest.record.is_some() { 1 } else { seeds };
    let mut right = RightAnswers::new();
    for salt in salts(lab, salt) {
        let lab = lab.salted(&salt)?;
        let (salt, starts, right) = (&*salt, Arc::default(), &mut right);
        let mut trial = Trial { lab: &lab, salt, seeds, told, starts, right, findings: &mut findings };
        trial.run()?;
    }
    // What is asked of a student's own runs is in files that everybody has.
    if lab.manifest.record.is_some() {
        findings.problems.extend(lab.questions().filter_map(|question| unmoved(question, &right)));
    }
    Ok(findings)
}

/// What is wrong with a question if its right answer is the same for every salt: one student can give it to
/// another. An idea, which is one of some words, may be.
fn unmoved(question: &Question, right: &RightAnswers) -> Option<String> {
    let is_idea = question.truth.is_said() && !question.choices.is_empty();
    let answers = right.get(&question.key).filter(|answers| answers.len() == 1 && !is_idea)?;
    let (key, answer) = (quote(&question.key), answers.first()?);
    Some(format!(
        "the answer to {key} is {answer} for every salt: let the salt move it, by shuffle, by several hidden topologies or by a fault with one-of"
    ))
}

/// None, and this one; of a lab with a recording more, so that each hidden topology is drawn.
fn salts(lab: &Lab, other: &str) -> Vec<String> {
    let mut salts = vec![String::new(), other.to_owned()];
    if lab.manifest.record.is_none() {
        return salts;
    }
    let topologies = lab.manifest.run.topologies.len();
    let drawn = |salt: &String| salt::drawn(&lab.manifest.id, salt, topologies);
    let mut seen: BTreeSet<_> = salts.iter().map(drawn).collect();
    for number in 3..=SALTS_AT_MOST {
        let salt = format!("{other} {number}");
        if seen.insert(drawn(&salt)) || salts.len() < SALTS {
            salts.push(salt);
        }
    }
    salts
}

/// What can be seen without running anything.
fn on_paper(lab: &Lab) -> Vec<String> {
    let mut problems = Vec::new();
    let hints = lab.manifest.hints.len();
    if hints != HINTS {
        problems
            .push(format!("it has {hints} hints: write {HINTS}, where to look, what it is, how to mend it"));
    }
    let number = lab.folder.split_once('-').map(|(number, id)| (number.parse::<u32>().is_ok(), id));
    if number != Some((true, lab.manifest.id.as_str())) {
        problems.push(format!("its folder is called {}: call it NN-{}", lab.folder, lab.manifest.id));
    }
    for file in ["README.md", "solution/EXPLANATION.md"] {
        if lab.text(file).trim().is_empty() {
            problems.push(format!("it has no {file}"));
        }
    }
    let written = lab.starter();
    problems.extend(links(&lab.text("README.md"), &written));
    for (path, bytes) in &written {
        let text = String::from_utf8_lossy(bytes);
        if path.ends_with(".toml") && is_opened_by_comment(&text) && text.contains("[topology]") {
            problems.push(format!("start/{path} opens with a comment, which may give the answer away"));
        }
        if path.contains("truth") || path == state::FILE {
            problems.push(format!("start/{path} does not belong there"));
        }
    }
    for wrong in &lab.manifest.wrong {
        if !lab.files.keys().any(|path| path.starts_with(&format!("wrong/{}/", wrong.name))) {
            problems.push(format!("there is no folder wrong/{}", wrong.name));
        }
    }
    problems.extend(names_told(lab, &written));
    problems
}

fn is_opened_by_comment(text: &str) -> bool {
    text.lines().find(|line| !line.trim().is_empty()).is_some_and(|line| line.starts_with('#'))
}

/// Links of a brief to files beside it that are not there.
fn links(brief: &str, written: &Tree) -> Vec<String> {
    let targets = brief.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(to, _)| to);
    let beside = targets.filter(|to| !to.contains("://") && !to.starts_with('#'));
    let missing = beside.filter(|to| !written.contains_key(to.split('#').next().unwrap_or_default()));
    missing.map(|to| format!("README.md links to {to}, which `start` does not write")).collect()
}

/// Names of hidden faults in what the student reads.
fn names_told(lab: &Lab, written: &Tree) -> Vec<String> {
    let hidden = lab.hidden();
    let topologies = hidden.iter().filter(|(path, _)| path.ends_with(".toml"));
    let faults = topologies.flat_map(|(_, bytes)| {
        let document: toml::Table = String::from_utf8_lossy(bytes).parse().unwrap_or_default();
        let faults = document.get("faults").and_then(toml::Value::as_array).cloned().unwrap_or_default();
        faults
            .into_iter()
            .filter_map(|fault| Some(fault.get("name")?.as_str()?.to_owned()))
            .collect::<Vec<_>>()
    });
    let asked_for: Vec<_> =
        lab.manifest.checks.iter().flat_map(|check| check.kind.choices()).cloned().collect();
    let mut told = Vec::new();
    for fault in faults.filter(|fault| !asked_for.contains(fault)) {
        for (path, bytes) in written {
            if String::from_utf8_lossy(bytes).contains(&fault) {
                told.push(format!("{path} names the hidden fault {}", quote(&fault)));
            }
        }
    }
    told
}

/// The runs with one salt.
struct Trial<'a> {
    lab: &'a Lab,
    salt: &'a str,
    seeds: usize,
    told: &'a Told,
    /// Every variant is compared with the same runs of the starter.
    starts: Arc<Starts>,
    right: &'a mut RightAnswers,
    findings: &'a mut Findings,
}

impl Trial<'_> {
    fn run(&mut self) -> Result<(), Refused> {
        match self.judge(&self.lab.starter(), false, self.seeds) {
            Ok(verdict) if verdict.solved => self.note("the starter passes every check".to_owned()),
            Ok(verdict) => self.starter(&verdict),
            // A starter may be broken: a guest is still to be written.
            Err(_) if !self.lab.manifest.needs.is_empty() => {}
            Err(refused) => return Err(refused),
        }
        let solved = self.judge(&self.lab.variant("solution"), true, self.seeds)?;
        for check in solved.checks.iter().filter(|check| !check.passed) {
            self.note(format!("the solution fails by {}: {}", quote(&check.name), check.message));
        }
        if let Some(frozen) = &solved.frozen {
            self.note(format!("the solution changes what is frozen: {frozen}"));
        }
        for wrong in &self.lab.manifest.wrong {
            let tree = self.lab.variant(&format!("wrong/{}", wrong.name));
            let mut verdict = self.judge(&tree, true, FIRST_SEEDS.min(self.seeds))?;
            let missed = |verdict: &Verdict| {
                wrong.caught_by.iter().find(|by| !is_caught(verdict, by)).map(|by| quote(by))
            };
            if missed(&verdict).is_some() && self.seeds > FIRST_SEEDS {
                verdict = self.judge(&tree, true, self.seeds)?;
            }
            if let Some(by) = missed(&verdict) {
                let failed = failed(&verdict);
                self.note(format!("wrong/{} is not caught by {by}; it fails by {failed}", wrong.name));
            }
        }
        Ok(())
    }

    /// What the starter passes has to be guards, and guards have to be what it passes.
    fn starter(&mut self, verdict: &Verdict) {
        let Verdict { score, max, checks, .. } = verdict;
        if *score > FREE_AT_MOST * f64::from(*max) {
            let passed = checks.iter().filter(|check| check.passed && !check.guard);
            let names: Vec<_> = passed.map(|check| quote(&check.name)).collect();
            let what = format!("the starter gets {} of {max} points", number(*score));
            let help = "write guard = true in what is to stay as good as it is";
            self.note(format!("{what}, as it passes {}: {help}", names.join(", ")));
        }
        for check in checks.iter().filter(|check| check.guard && !check.passed) {
            let (name, message) = (quote(&check.name), &check.message);
            self.note(format!(
                "the starter fails {name}, which is a guard: take guard = true away ({message})"
            ));
        }
    }

    fn note(&mut self, problem: String) {
        let salt = if self.salt.is_empty() { "" } else { " (with a salt)" };
        self.findings.problems.push(problem + salt);
    }

    /// Judges files as if a student had them. What they do not answer is answered right.
    fn judge(&mut self, tree: &Tree, answered: bool, seeds: usize) -> Result<Verdict, Refused> {
        let refused = |problem: Problem| Refused::new(None, vec![problem]);
        let home = files::folder_for_a_while().map_err(refused)?;
        let folder = home.path().join("submission");
        files::make_folder(&folder, tree).map_err(refused)?;
        let bench = Bench::new(self.lab, self.salt, &folder, self.told)?.sharing(&self.starts);
        if answered {
            for (key, answer) in answer(&bench, &folder, tree)? {
                self.right.entry(key).or_default().insert(answer);
            }
        }
        let seeds = salt::seeds(&self.lab.manifest.id, self.salt, self.public(), seeds);
        let watch = Stopwatch::start();
        let verdict = bench.judge(&seeds, None)?;
        self.findings.longest = self.findings.longest.max(watch.elapsed());
        self.findings.checks += 1;
        Ok(verdict)
    }

    /// With another salt, none of the public seeds is run again.
    fn public(&self) -> &[u64] {
        if self.salt.is_empty() { &self.lab.manifest.run.seeds } else { &[] }
    }
}

/// Whether a wrong answer fails by the check that has to catch it.
fn is_caught(verdict: &Verdict, by: &str) -> bool {
    match (by, &verdict.frozen) {
        (FROZEN_CHECK, frozen) => frozen.is_some(),
        (_, Some(_)) => false,
        (name, None) => verdict.checks.iter().any(|check| check.name == name && !check.passed),
    }
}

/// Writes the right answers where the files have none, and gives them.
fn answer(bench: &Bench<'_>, folder: &Path, tree: &Tree) -> Result<BTreeMap<String, String>, Refused> {
    let right = bench.right_answers()?;
    if right.is_empty() {
        return Ok(right);
    }
    let mut all = right.clone();
    let given = tree.get(answers::FILE).map(|bytes| String::from_utf8_lossy(bytes)).unwrap_or_default();
    let given: toml::Table = given.parse().unwrap_or_default();
    for (key, value) in given {
        let is_left_out = value.as_str().is_some_and(|text| text.trim().is_empty())
            || value.as_array().is_some_and(Vec::is_empty);
        if !is_left_out {
            all.insert(key, value.to_string());
        }
    }
    let text: String = all.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    let written = files::write_whole(&folder.join(answers::FILE), text.as_bytes());
    written.map_err(|problem| Refused::new(None, vec![problem]))?;
    Ok(right)
}

fn failed(verdict: &Verdict) -> String {
    if let Some(frozen) = &verdict.frozen {
        return format!("\"{FROZEN_CHECK}\": {frozen}");
    }
    let failed = verdict.checks.iter().filter(|check| !check.passed);
    let names: Vec<_> = failed.map(|check| format!("{} ({})", quote(&check.name), check.message)).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_to_lead_to_a_file_that_start_writes() {
        let written = [("a.toml".to_owned(), std::borrow::Cow::Borrowed(&b""[..]))].into();
        let brief = "[a](a.toml#x) [b](b.md) [c](https://x.org/) [d](#d)";
        assert_eq!(links(brief, &written), ["README.md links to b.md, which `start` does not write"]);
    }

    #[test]
    fn a_comment_at_the_top_is_seen() {
        assert!(is_opened_by_comment("\n# the answer\n[topology]"));
        assert!(!is_opened_by_comment("[topology]\n# inside"));
    }
}
