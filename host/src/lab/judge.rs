//! Judges a submission: runs it over seeds, and asks every check of every run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::clock;
use crate::engine::EMBEDDED;
use crate::error::{Problem, Refused, list, quote};
use crate::files::Temporary;

use super::answers;
use super::catalogue::Lab;
use super::cell::{Cell, Ran, Trouble, World};
use super::contract::contract;
use super::files;
use super::find::{Need, Runs, find, needs, needs_spans};
use super::finding::Finding;
use super::frozen;
use super::manifest::{Check, Kind, Question};
use super::measure;
use super::right::{self, Recording};
use super::salt;
use super::score::{Failures, hold_guards, not_judged, row};
use super::told::{Step, Told};
use super::unknown::Known;
use super::verdict::{CheckRow, FrozenRow, SCHEMA, Verdict};

/// A lab and a submission, ready to be judged.
#[derive(Debug)]
pub struct Bench<'a> {
    lab: &'a Lab,
    /// That the names and the recording follow from.
    salt: &'a str,
    folder: PathBuf,
    /// The lab's own topology.
    starter: World,
    /// The student's; none if the lab's is hidden.
    student: Option<World>,
    frozen: Option<FrozenRow>,
    starts: Arc<Starts>,
    told: Told,
    /// Where the files of the starter lie.
    _stage: Temporary<tempfile::TempDir>,
}

/// Runs of the starter that were made already, by their seeds and faults: every submission is compared with
/// the same ones.
#[derive(Debug, Default)]
pub struct Starts(Mutex<BTreeMap<Start, Arc<Ran>>>);

/// A seed, and the faults that are on where they are not those of the topology.
type Start = (u64, Option<Vec<String>>);

/// What each check finds at a seed: none of what does not depend on it.
type Found = (u64, Vec<Option<Finding>>);

impl<'a> Bench<'a> {
    /// Reads the submission in `folder`. The lab has the names that this salt gives.
    ///
    /// # Errors
    /// What is wrong with the files of the submission, or of the lab.
    pub fn new(lab: &'a Lab, salt: &'a str, folder: &Path, told: &Told) -> Result<Self, Refused> {
        let refused = |problem| Refused::new(None, vec![problem]);
        // Whoever has written the submission has not written the lab.
        let staged = stage(lab, salt, told).and_then(|staged| verify(lab, &staged.1).map(|()| staged));
        let (stage, starter) = staged.map_err(Refused::of_surroundings)?;
        let run = &lab.manifest.run;
        let key_name = starter.model().key_name.clone();
        let student = match run.hidden {
            true => None,
            false => {
                let file = topology_of(lab, salt);
                Some(World::read(folder, file, run.length, Some(&key_name), told)?)
            }
        };
        let place = stage.path().join("start");
        let folder = folder.to_owned();
        let starts = Arc::default();
        let told = told.clone();
        let mut bench =
            Self { lab, salt, folder, starter, student, frozen: None, starts, told, _stage: stage };
        bench.frozen = bench.violation(&place).map_err(refused)?;
        Ok(bench)
    }

    /// The same, with runs of the starter that another bench of the lab has made with this salt.
    pub fn sharing(self, starts: &Arc<Starts>) -> Self {
        Self { starts: Arc::clone(starts), ..self }
    }

    /// The first change that is not allowed.
    fn violation(&self, starter: &Path) -> Result<Option<FrozenRow>, Problem> {
        let Some(frozen) = &self.lab.manifest.frozen else { return Ok(None) };
        for file in &frozen.files {
            let (theirs, ours) = (self.folder.join(file), starter.join(file));
            files::stay_within(&self.folder, &theirs, &format!("the file {}", quote(file)))?;
            if files::read(&theirs).ok() != Some(files::read(&ours).map_err(Problem::of_surroundings)?) {
                return Ok(Some(FrozenRow { path: file.clone(), from: None, to: None }));
            }
        }
        let Some(student) = &self.student else { return Ok(None) };
        let guests = EMBEDDED.map(|(name, _)| name);
        // Names of files begin at one folder, or all of them would differ.
        let found = frozen::violation(
            &self.starter.topology,
            &student.topology,
            &self.folder,
            &guests,
            &frozen.except,
        );
        Ok(found.map(|frozen::Violation { path, from, to }| FrozenRow { path, from, to }))
    }

    /// The topology that is judged.
    pub fn world(&self) -> &World {
        self.student.as_ref().unwrap_or(&self.starter)
    }

    /// Runs all that the checks ask for at these seeds, as many at a time as there are processors. `failures`
    /// is what failed before; without it guessing costs nothing.
    ///
    /// # Errors
    /// The answers or the guests are wrong, or a run does not come to its end.
    pub fn judge(&self, seeds: &[u64], failures: Option<&Failures>) -> Result<Verdict, Refused> {
        let checks = &self.lab.manifest.checks;
        if self.frozen.is_some() {
            return Ok(self.verdict(seeds, checks.iter().map(not_judged).collect()));
        }
        let mut answers = self.answers()?;
        let found = self.over(seeds).map_err(Trouble::into_refused)?;
        let rows = checks.iter().enumerate().map(|(at, check)| match answers.remove(&at) {
            Some(finding) => row(check, &[(None, &finding)], failures),
            None => {
                let of_seeds =
                    found.iter().filter_map(|(seed, found)| Some((Some(*seed), found[at].as_ref()?)));
                row(check, &of_seeds.collect::<Vec<_>>(), failures)
            }
        });
        let mut rows: Vec<_> = rows.collect();
        hold_guards(&mut rows);
        Ok(self.verdict(seeds, rows))
    }

    /// What the checks find that are about answers, by their places.
    fn answers(&self) -> Result<BTreeMap<usize, Finding>, Refused> {
        let asked: Vec<_> = self.questions().collect();
        if asked.is_empty() {
            return Ok(BTreeMap::new());
        }
        let questions: Vec<_> = asked.iter().map(|(_, question)| *question).collect();
        let given = answers::read(&self.folder, &questions)?;
        let recording = self.recording()?;
        let known = Known::new(self.starter.model(), recording.ran.as_ref());
        let found = asked.into_iter().map(|(at, question)| {
            let (answer, is) = (given.get(&question.key), recording.right(question));
            (at, right::find(question, answer, is.as_ref(), &known))
        });
        Ok(found.collect())
    }

    fn questions(&self) -> impl Iterator<Item = (usize, &Question)> {
        let checks = self.lab.manifest.checks.iter().enumerate();
        checks.filter_map(|(at, check)| match &check.kind {
            Kind::Answer(question) => Some((at, question)),
            _ => None,
        })
    }

    /// What `simhost lab record` records, with its truth; of a lab without a recording nothing.
    fn recording(&self) -> Result<Recording, Refused> {
        let Some(record) = self.lab.manifest.record else { return Ok(Recording::default()) };
        self.told.tell(Step::Recording);
        let seed = salt::recorded(&self.lab.manifest.id, self.salt);
        let observed = self.starter.lasting(record.length).observe(seed).map_err(Trouble::of_surroundings);
        let (ran, truth) = observed.map_err(Trouble::into_refused)?;
        Ok(Recording { ran: Some(ran), truth })
    }

    /// The right answers, as `answers.toml` would have them, by their keys.
    ///
    /// # Errors
    /// The recording cannot be made.
    pub fn right_answers(&self) -> Result<BTreeMap<String, String>, Refused> {
        let recording = self.recording()?;
        let right = self
            .questions()
            .filter_map(|(_, question)| Some((question.key.clone(), recording.right(question)?.written())));
        Ok(right.collect())
    }

    /// The right answers for a person, in the order of the lab: lines of `answers.toml`.
    ///
    /// # Errors
    /// The recording cannot be made.
    pub fn solution(&self) -> Result<Vec<String>, Refused> {
        let recording = self.recording()?;
        let line = |question: &Question| {
            let right = recording.right(question)?.told(question.tolerance);
            Some(format!("{} = {right}", question.key))
        };
        Ok(self.questions().filter_map(|(_, question)| line(question)).collect())
    }

    /// What each check finds at each seed.
    fn over(&self, seeds: &[u64]) -> Result<Vec<Found>, Trouble> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            while let Some((place, seed)) = {
                let place = next.fetch_add(1, Ordering::Relaxed);
                seeds.get(place).map(|seed| (place, *seed))
            } {
                let found = self.at(seed, (place + 1, seeds.len()));
                // The others need not begin if this one has failed.
                if found.is_err() {
                    next.store(seeds.len(), Ordering::Relaxed);
                }
                done.push((place, found.map(|findings| (seed, findings))));
            }
            done
        };
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let workers = processors.min(self.world().at_once()).min(self.starter.at_once()).min(seeds.len());
        let mut done: Vec<_> = thread::scope(|scope| {
            let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            let join = |worker: thread::ScopedJoinHandle<'_, _>| {
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            workers.into_iter().flat_map(join).collect()
        });
        done.sort_by_key(|(place, _)| *place);
        done.into_iter().map(|(_, found)| found).collect()
    }

    /// What each check finds at one seed, which is a number of so many. The runs are dropped with it.
    fn at(&self, seed: u64, (number, of): (usize, usize)) -> Result<Vec<Option<Finding>>, Trouble> {
        let checks = &self.lab.manifest.checks;
        let tell = |check: &str| self.told.tell(Step::Seed { number, of, check });
        let mut runs = Runs { seed, runs: Vec::new() };
        for Wanted { need, spans, check } in wanted(checks) {
            tell(check);
            let cell = Cell { seed, faults: need.faults.as_deref(), spans, every_trace: need.every_trace };
            let ran = match need.of_starter {
                true => self.starts.run(&self.starter, cell)?,
                false => Arc::new(self.world().run(cell)?),
            };
            runs.runs.push((need, ran));
        }
        let finding = |check: &Check| match &check.kind {
            Kind::Guest(wanted) => {
                tell(&check.name);
                contract(self.world(), seed, check.faults.as_deref(), wanted).map(Some)
            }
            _ => Ok(find(check, &runs)),
        };
        checks.iter().map(finding).collect()
    }

    /// The command that makes the run of a cell in the student's folder; none if its topology is hidden.
    pub fn command(&self, cell: Cell<'_>) -> Option<String> {
        let student = self.student.as_ref()?;
        let run = &self.lab.manifest.run;
        let off = |on: &[String]| {
            let faults = student.model().faults.iter().filter(|fault| !on.contains(&fault.name));
            faults.map(|fault| format!(" --fault {}=off", fault.name)).collect::<String>()
        };
        let faults = cell.faults.map(off).unwrap_or_default();
        let (file, length) = (topology_of(self.lab, self.salt), clock::show(run.length));
        Some(format!(
            "simhost run {file} --virtual --for {length} --seed {}{faults} --out t.jsonl",
            cell.seed
        ))
    }

    fn verdict(&self, seeds: &[u64], checks: Vec<CheckRow>) -> Verdict {
        Verdict {
            solved: self.frozen.is_none() && checks.iter().all(|check| check.passed),
            score: checks.iter().map(|check| check.score).sum(),
            error: None,
            frozen: self.frozen.clone(),
            checks,
            ..broken(self.lab, seeds, "")
        }
    }
}

/// A run that is made at each seed.
struct Wanted<'a> {
    need: Need,
    spans: bool,
    /// The first check that looks at it.
    check: &'a str,
}

/// All runs that the checks look at, each once.
fn wanted(checks: &[Check]) -> Vec<Wanted<'_>> {
    let mut all: Vec<Wanted<'_>> = Vec::new();
    for check in checks {
        for need in needs(check) {
            match all.iter_mut().find(|known| known.need == need) {
                Some(known) => known.spans |= needs_spans(check),
                None => all.push(Wanted { need, spans: needs_spans(check), check: &check.name }),
            }
        }
    }
    all
}

impl Starts {
    /// A run of the starter. No check looks at its spans.
    fn run(&self, starter: &World, cell: Cell<'_>) -> Result<Arc<Ran>, Trouble> {
        let made = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (cell.seed, cell.faults.map(<[_]>::to_vec));
        if let Some(ran) = made().get(&key) {
            return Ok(Arc::clone(ran));
        }
        let ran = Arc::new(starter.run(cell).map_err(Trouble::of_surroundings)?);
        made().insert(key, Arc::clone(&ran));
        Ok(ran)
    }
}

/// The result of a submission whose files are broken.
pub fn broken(lab: &Lab, seeds: &[u64], error: &str) -> Verdict {
    let manifest = &lab.manifest;
    let is_seeded = manifest.checks.iter().any(|check| !matches!(check.kind, Kind::Answer(_)));
    Verdict {
        schema: SCHEMA,
        lab: manifest.id.clone(),
        title: manifest.title.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        solved: false,
        score: 0.0,
        max: manifest.points(),
        seeds: if is_seeded { seeds.to_vec() } else { Vec::new() },
        error: Some(error.trim().to_owned()),
        frozen: None,
        checks: manifest.checks.iter().map(not_judged).collect(),
    }
}

/// The file of the topology: of several hidden ones the salt draws one.
fn topology_of<'a>(lab: &'a Lab, salt: &str) -> &'a str {
    let files = &lab.manifest.run.topologies;
    &files[salt::drawn(&lab.manifest.id, salt, files.len())]
}

/// The lab's own topology, in a folder with its files.
fn stage(lab: &Lab, salt: &str, told: &Told) -> Result<(Temporary<tempfile::TempDir>, World), Refused> {
    let refused = |problem| Refused::new(None, vec![problem]);
    let stage = files::folder_for_a_while().map_err(refused)?;
    let run = &lab.manifest.run;
    let mut tree = lab.starter();
    if run.hidden {
        tree.extend(lab.hidden());
    }
    let file = topology_of(lab, salt);
    if !tree.contains_key(file) {
        let from = if run.hidden { "hidden" } else { "start" };
        let problem = Problem::new(format!("the lab {} has no {from}/{file}", quote(&lab.manifest.id)));
        return Err(refused(problem.help("put the topology there, or name another file in [run]")));
    }
    let place = stage.path().join("start");
    files::make_folder(&place, &tree).map_err(refused)?;
    let world = World::read(&place, file, run.length, None, told)?;
    Ok((stage, world))
}

/// Makes the recording of a lab: its records into a file, its report as text, which calls the file `named`.
///
/// # Errors
/// The lab has none, or it cannot be made.
pub fn record(
    lab: &Lab,
    salt: &str,
    out: &Path,
    named: &str,
    style: crate::telemetry::console::Style,
    told: &Told,
) -> Result<String, Refused> {
    let Some(record) = lab.manifest.record else {
        let problem = Problem::new(format!("the lab {} has nothing to record", quote(&lab.manifest.id)));
        return Err(Refused::new(
            None,
            vec![problem.help("run its topology: `simhost run topology.toml --virtual`")],
        ));
    };
    let (_stage, world) = stage(lab, salt, told)?;
    let seed = salt::recorded(&lab.manifest.id, salt);
    world.lasting(record.length).record(seed, out, named, style).map_err(Trouble::into_refused)
}

/// Sees to it that what a manifest names is in the lab's topology.
fn verify(lab: &Lab, starter: &World) -> Result<(), Refused> {
    let model = starter.model();
    let known = measure::Known {
        loads: model.loads.iter().map(|load| load.name.clone()).collect(),
        services: model.services.iter().map(|service| service.name.clone()).collect(),
        databases: model.databases.iter().map(|database| database.name.clone()).collect(),
        caches: model.caches.iter().map(|cache| cache.name.clone()).collect(),
        topics: model.topics.iter().map(|topic| topic.name.clone()).collect(),
        groups: model.subscriptions.iter().map(|subscription| subscription.group.clone()).collect(),
        faults: model.faults.iter().map(|fault| fault.name.clone()).collect(),
    };
    let of_check = |check: &Check| {
        let unknown = check.kind.metrics().filter_map(|metric| metric.subject.unknown(&known));
        let faults = check.faults.iter().flatten().filter(|fault| !known.faults.contains(fault));
        let faults = faults.map(|fault| {
            let has = list(known.faults.iter().map(String::as_str));
            format!("the topology has no fault {}; it has {has}", quote(fault))
        });
        let problem = |what| Problem::new(format!("the check {} of the lab: {what}", quote(&check.name)));
        unknown.chain(faults).map(problem).collect::<Vec<_>>()
    };
    let problems: Vec<_> = lab.manifest.checks.iter().flat_map(of_check).collect();
    if problems.is_empty() { Ok(()) } else { Err(Refused::new(None, problems)) }
}
