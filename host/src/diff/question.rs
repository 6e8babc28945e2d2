//! What is to be compared, and whether it can be.

use std::path::{Path, PathBuf};

use crate::engine::EMBEDDED;
use crate::error::{Problem, Refused, quote};
use crate::model::Model;
use crate::run::{Destinations, Options, Show, unknown};
use crate::topology::{self, Topology};

use super::{Comparison, Variant};

/// A topology as it is, and with a change.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// What both runs have in common, the topology among it.
    pub common: Options,
    /// The change: another topology.
    pub other: Option<PathBuf>,
    /// The change: faults that are switched on, and off.
    pub with: Vec<String>,
    pub without: Vec<String>,
    /// The change: services whose guest is another, `(service, file)`.
    pub guests: Vec<(String, PathBuf)>,
}

impl Question {
    /// Reads and checks both sides, and compiles their guests once.
    pub(super) fn check(self) -> Result<Comparison, Vec<Refused>> {
        if self.other.is_none() && self.with.is_empty() && self.without.is_empty() && self.guests.is_empty() {
            return Err(vec![Refused::new(None, vec![nothing_to_compare()])]);
        }
        let change = self.change();
        let (before, after) = self.topologies()?;
        let seed = self.common.seed.unwrap_or(before.model.seed);
        let common = self.options(seed, before.model.key_name.clone());
        let problems = self.problems(&after);
        let before = Variant::new(before, common.clone());
        let changed = self.changed(common, &after);
        let after = Variant::new(after, changed);
        // Of one file, the side with the change has the other's problems too.
        let (mut refused, mut warnings) = (Vec::new(), Vec::new());
        match after.plan() {
            Ok(plan) if problems.is_empty() => warnings.push(plan.warnings().clone()),
            Ok(_) => refused.push(after.topology.refuse(problems, 0)),
            Err(wrong) => refused.push(wrong.with(problems)),
        }
        if refused.is_empty() || self.other.is_some() {
            match before.plan() {
                Ok(plan) => {
                    // Of one file, most are the same.
                    warnings.iter_mut().for_each(|after| after.leave_out(plan.warnings()));
                    warnings.insert(0, plan.warnings().clone());
                }
                Err(wrong) => refused.push(wrong),
            }
        }
        if !refused.is_empty() {
            return Err(refused);
        }
        Ok(Comparison { change, seed, before, after, warnings })
    }

    /// The options of both runs: virtual time, nothing shown, and the same draws.
    fn options(&self, seed: u64, key_name: String) -> Options {
        // A new option is sorted here: what both runs take over, and what a comparison decides.
        let Options {
            topology,
            listen,
            guests,
            faults,
            loads,
            through_ingress,
            requests,
            stop_after,
            start,
            control,
            speed,
            shards,
            compute,
            strict,
            no_counterfactual,
            changed,
            blind,
            tell,
            virtual_time: _,
            seed: _,
            key_name: _,
            remembers: _,
            keeps_databases: _,
            self_telemetry: _,
            destinations: _,
        } = self.common.clone();
        Options {
            topology,
            listen,
            guests,
            faults,
            loads,
            through_ingress,
            requests,
            stop_after,
            start,
            control,
            speed,
            shards,
            compute,
            strict,
            no_counterfactual,
            changed,
            blind,
            tell,
            virtual_time: true,
            seed: Some(seed),
            key_name: Some(key_name),
            remembers: true,
            keeps_databases: false,
            self_telemetry: false,
            destinations: Destinations { show: Some(Show::None), ..Destinations::default() },
        }
    }

    fn topologies(&self) -> Result<(Topology, Topology), Vec<Refused>> {
        let read = |path: &Path| topology::load(path, &EMBEDDED.map(|(name, _)| name));
        let before = read(&self.common.topology);
        let Some(other) = &self.other else {
            let before = before.map_err(|refused| vec![refused])?;
            return Ok((before.clone(), before));
        };
        match (before, read(other)) {
            (Ok(before), Ok(after)) => Ok((before, after)),
            (before, after) => Err([before.err(), after.err()].into_iter().flatten().collect()),
        }
    }

    fn changed(&self, common: Options, topology: &Topology) -> Options {
        let mut changed = common;
        changed.topology = self.other.clone().unwrap_or(changed.topology);
        // The last word about a fault or a guest counts. A name that nobody knows is told of once.
        let known = |name: &&String| topology.model.faults.iter().any(|fault| fault.name == **name);
        let on = self.with.iter().filter(known).map(|name| (name.clone(), true));
        let off = self.without.iter().filter(known).map(|name| (name.clone(), false));
        changed.faults.extend(on.chain(off));
        changed.guests.extend(self.guests.iter().cloned());
        changed
    }

    /// The faults that cannot be switched to any effect.
    fn problems(&self, topology: &Topology) -> Vec<Problem> {
        let model = &topology.model;
        let with = self.with.iter().filter_map(|name| self.switch(model, name, true));
        let without = self.without.iter().filter_map(|name| self.switch(model, name, false));
        let both = self.with.iter().filter(|name| self.without.contains(name));
        let both = both.map(|name| {
            Problem::new(format!("the fault {} is to be both on and off", quote(name)))
                .help("give either --with or --without")
        });
        with.chain(without).chain(both).collect()
    }

    /// What is wrong with switching this fault.
    fn switch(&self, model: &Model, name: &str, on: bool) -> Option<Problem> {
        let (flag, other) = if on { ("--with", "--without") } else { ("--without", "--with") };
        let Some(fault) = model.faults.iter().find(|fault| fault.name == name) else {
            let names: Vec<_> = model.faults.iter().map(|fault| fault.name.clone()).collect();
            return Some(unknown(flag, "fault", name, &names));
        };
        let said = self.common.faults.iter().rev().find(|(known, _)| known == name);
        let is_on = said.map_or(fault.enabled, |(_, on)| *on);
        if fault.chance.probability == 0.0 {
            let problem = Problem::new(format!("{flag} {name}: the fault strikes nothing, on or off"));
            return Some(problem.help("give it a probability above 0"));
        }
        let state = if on { "on" } else { "off" };
        let opposite = if on { "off" } else { "on" };
        (is_on == on).then(|| {
            Problem::new(format!("{flag} {name}: the fault is {state} already, so nothing would change"))
                .help(format!(
                    "{other} {name}, or --fault {name}={opposite}, which switches it for both runs"
                ))
        })
    }

    /// The change in words.
    fn change(&self) -> String {
        let name = |path: &Path| path.display().to_string();
        let other = self.other.iter();
        let words: Vec<_> = other
            .map(|other| format!("with {} in place of {}", name(other), name(&self.common.topology)))
            .chain(self.with.iter().map(|fault| format!("with {fault}")))
            .chain(self.without.iter().map(|fault| format!("without {fault}")))
            .chain(self.guests.iter().map(|(service, file)| format!("with {} as {service}", name(file))))
            .collect();
        words.join(", ")
    }
}

impl Variant {
    fn new(mut topology: Topology, options: Options) -> Self {
        // Nothing is exported, so that both runs begin at the same instant.
        topology.model.telemetry.otlp = None;
        Self { topology, options }
    }
}

fn nothing_to_compare() -> Problem {
    Problem::new("nothing to compare the topology with")
        .help("name the change: another topology, --with FAULT, --without FAULT or --guest SERVICE=GUEST")
}
