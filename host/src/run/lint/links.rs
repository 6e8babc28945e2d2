//! Links that no call uses.

use crate::error::{Problem, list};

use super::Run;

/// Links whose caller, all of whose calls are known, does not call their callee.
pub fn problems(run: &Run<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for link in &run.model.links {
        if !run.calls.known(link.from) || run.calls.between(link.from, link.to).next().is_some() {
            continue;
        }
        let (from, to) = (run.name(link.from), run.name(link.to));
        let callees = run.callees(link.from);
        let help = match callees.is_empty() {
            true => format!("leave the link out: {from} calls nobody"),
            false => format!("leave the link out, or correct its ends: {from} calls {}", list(callees)),
        };
        let problem = Problem::warning(format!("the link from {from} to {to} has no effect"));
        problems.push(problem.at(link.place.clone(), format!("{from} does not call it")).help(help));
    }
    problems
}
