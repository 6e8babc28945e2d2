//! Judges a submission: runs it over seeds, and asks every check of every run.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::clock;
use crate::engine::EMBEDDED;
use crate::error::{Problem, Refused, list, quote};
use crate::run::RunEvent;

use super::catalogue::Lab;
use super::cell::{Cell, Trouble, World};
use super::files;
use super::find::{Finding, Need, Runs, find};
use super::frozen;
use super::manifest::{Check, Kind, Wanted};
use super::measure::Known;
use super::verdict::{CheckRow, FrozenRow, SCHEMA, Verdict};

/// A lab and a submission, ready to be judged.
#[derive(Debug)]
pub struct Bench<'a> {
    lab: &'a Lab,
    /// The lab's own topology.
    starter: World,
    /// The student's; none if the lab's is hidden.
    student: Option<World>,
    frozen: Option<FrozenRow>,
    /// Where the files of the starter lie.
    _stage: tempfile::TempDir,
}

impl<'a> Bench<'a> {
    /// Reads the submission in `folder`. The lab has the names that its salt gives.
    ///
    /// # Errors
    /// What is wrong with the files of the submission, or of the lab.
    pub fn new(lab: &'a Lab, folder: &Path, on_event: fn(RunEvent)) -> Result<Self, Refused> {
        let refused = |problem| Refused::new(None, vec![problem]);
        let run = &lab.manifest.run;
        let stage = tempfile::Builder::new().prefix("simhost-lab-").tempdir();
        let stage = stage
            .map_err(|error| refused(files::cannot("make a folder in", &std::env::temp_dir(), &error)))?;
        let mut tree = lab.variant("start");
        if run.hidden {
            tree.extend(lab.hidden());
        }
        let place = stage.path().join("start");
        files::make_folder(&place, &tree).map_err(refused)?;
        let starter = World::read(&place, &run.topology, run.length, None, on_event)?;
        verify(lab, &starter)?;
        let key_name = starter.model().key_name.clone();
        let student = match run.hidden {
            true => None,
            false => Some(World::read(folder, &run.topology, run.length, Some(&key_name), on_event)?),
        };
        let mut bench = Self { lab, starter, student, frozen: None, _stage: stage };
        bench.frozen = bench.violation(folder, &place).map_err(refused)?;
        Ok(bench)
    }

    /// The first change that is not allowed.
    fn violation(&self, folder: &Path, starter: &Path) -> Result<Option<FrozenRow>, Problem> {
        let Some(frozen) = &self.lab.manifest.frozen else { return Ok(None) };
        for file in &frozen.files {
            let (theirs, ours) = (folder.join(file), starter.join(file));
            files::stay_within(folder, &theirs, &format!("the file {}", quote(file)))?;
            if files::read(&theirs).ok() != Some(files::read(&ours)?) {
                return Ok(Some(FrozenRow { path: file.clone(), from: None, to: None }));
            }
        }
        let Some(student) = &self.student else { return Ok(None) };
        let guests = EMBEDDED.map(|(name, _)| name);
        // Names of files begin at one folder, or all of them would differ.
        let found =
            frozen::violation(&self.starter.topology, &student.topology, folder, &guests, &frozen.except);
        Ok(found.map(|frozen::Violation { path, from, to }| FrozenRow { path, from, to }))
    }

    /// The topology that is judged.
    pub fn world(&self) -> &World {
        self.student.as_ref().unwrap_or(&self.starter)
    }

    /// Runs all that the checks ask for at these seeds, as many at a time as there are processors.
    ///
    /// # Errors
    /// The guests are wrong, or a run does not come to its end.
    pub fn judge(&self, seeds: &[u64]) -> Result<Verdict, Refused> {
        let checks = &self.lab.manifest.checks;
        if self.frozen.is_some() {
            let rows = checks.iter().map(|check| row(check, &[])).collect();
            return Ok(self.verdict(seeds, rows));
        }
        let found = self.over(seeds).map_err(Trouble::into_refused)?;
        let rows = checks.iter().enumerate().map(|(at, check)| {
            let of_seeds: Vec<_> = found.iter().map(|(seed, findings)| (*seed, &findings[at])).collect();
            row(check, &of_seeds)
        });
        Ok(self.verdict(seeds, rows.collect()))
    }

    /// What each check finds at each seed.
    fn over(&self, seeds: &[u64]) -> Result<Vec<(u64, Vec<Finding>)>, Trouble> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                let found = self.at(*seed);
                // The others need not begin if this one has failed.
                if found.is_err() {
                    next.store(seeds.len(), Ordering::Relaxed);
                }
                done.push(found.map(|findings| (*seed, findings)));
            }
            done
        };
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let workers = processors.min(self.world().at_once()).min(self.starter.at_once()).min(seeds.len());
        let done: Vec<_> = thread::scope(|scope| {
            let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            let join = |worker: thread::ScopedJoinHandle<'_, _>| {
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            workers.into_iter().flat_map(join).collect()
        });
        let mut done: Vec<_> = done.into_iter().collect::<Result<_, _>>()?;
        let place = |seed: &u64| seeds.iter().position(|other| other == seed);
        done.sort_by_key(|(seed, _)| place(seed));
        Ok(done)
    }

    /// What each check finds at one seed. The runs are dropped with it.
    fn at(&self, seed: u64) -> Result<Vec<Finding>, Trouble> {
        let mut needs: Vec<Need> = Vec::new();
        for need in self.lab.manifest.checks.iter().flat_map(|check| self.needs(check)) {
            if !needs.contains(&need) {
                needs.push(need);
            }
        }
        let mut runs = Runs { seed, runs: Vec::new() };
        for need in needs {
            let world = if need.of_starter { &self.starter } else { self.world() };
            let ran = world.run(Cell { seed, faults: need.faults.as_deref(), spans: false })?;
            runs.runs.push((need, ran));
        }
        Ok(self.lab.manifest.checks.iter().map(|check| find(check, &runs)).collect())
    }

    /// The runs that a check looks at.
    fn needs(&self, check: &Check) -> Vec<Need> {
        let need = |of_starter, faults| Need { of_starter, faults };
        let own = need(false, check.faults.clone());
        let starter = need(true, check.faults.clone());
        match &check.kind {
            Kind::Report { .. } | Kind::Edges(Wanted::These(_)) => vec![own],
            Kind::Compare { .. } | Kind::Edges(Wanted::AsAtTheStart) => vec![own, starter],
            Kind::Undone { .. } => vec![own, starter, need(true, Some(Vec::new()))],
        }
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
        let length = clock::show(run.length);
        Some(format!(
            "simhost run {} --virtual --for {length} --seed {}{faults} --out t.jsonl",
            run.topology, cell.seed
        ))
    }

    fn verdict(&self, seeds: &[u64], checks: Vec<CheckRow>) -> Verdict {
        let manifest = &self.lab.manifest;
        Verdict {
            schema: SCHEMA,
            lab: manifest.id.clone(),
            title: manifest.title.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            solved: self.frozen.is_none() && checks.iter().all(|check| check.passed),
            score: checks.iter().map(|check| check.score).sum(),
            max: manifest.points(),
            seeds: seeds.to_vec(),
            frozen: self.frozen.clone(),
            checks,
        }
    }
}

/// Sees to it that what a manifest names is in the lab's topology.
fn verify(lab: &Lab, starter: &World) -> Result<(), Refused> {
    let model = starter.model();
    let known = Known {
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

/// The row of a check, from what it found at each seed.
fn row(check: &Check, found: &[(u64, &Finding)]) -> CheckRow {
    let failed = || found.iter().filter(|(_, finding)| !finding.passed);
    let passed = !found.is_empty() && failed().next().is_none();
    // The first one that fails tells most; of those that pass, any.
    let shown = failed().chain(found).next();
    let seed = failed().next().map(|(seed, _)| *seed);
    CheckRow {
        name: check.name.clone(),
        kind: check.kind.name().to_owned(),
        passed,
        score: if passed { f64::from(check.weight) } else { 0.0 },
        max: check.weight,
        got: shown.and_then(|(_, finding)| finding.got.clone()),
        want: shown.map(|(_, finding)| finding.want.clone()).unwrap_or_default(),
        seed,
        failed_seeds: u32::try_from(failed().count()).unwrap_or(u32::MAX),
        message: failed().next().map(|(seed, finding)| said(check, *seed, finding)).unwrap_or_default(),
        trace_id: failed().find_map(|(_, finding)| finding.trace).map(|id| id.to_string()),
    }
}

/// What a person reads of a failure: the lab's own words, if it has any.
fn said(check: &Check, seed: u64, finding: &Finding) -> String {
    let Some(say) = &check.say else { return finding.message.clone() };
    let got = finding.got.as_deref().unwrap_or("nothing");
    say.replace("{got}", got)
        .replace("{want}", &check.kind.wanted().unwrap_or_else(|| finding.want.clone()))
        .replace("{seed}", &seed.to_string())
}
