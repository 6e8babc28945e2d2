//! Jobs: work that no request asks for, which schedules of the topology begin.

use crate::Problem;
use std::fmt;

/// The jobs of a service: which function runs under which name. What is wrong with it is reported when the simulator
/// loads the guest, all of it at once. [`service!`](crate::service) exports them.
#[derive(Default)]
pub struct Jobs {
    jobs: Vec<(String, Run)>,
    problems: Vec<Problem>,
}

/// What a job does.
type Run = Box<dyn Fn() -> Result<(), String>>;

/// What a job may give: nothing, or an error that says why it failed.
pub trait JobResult {
    /// How the run has ended.
    fn into_result(self) -> Result<(), String>;
}

impl JobResult for () {
    fn into_result(self) -> Result<(), String> {
        Ok(())
    }
}

impl<E: fmt::Display> JobResult for Result<(), E> {
    fn into_result(self) -> Result<(), String> {
        self.map_err(|error| error.to_string())
    }
}

impl Jobs {
    /// A service without jobs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a job. Its function runs without a request and without a current span: the first span that it makes is the
    /// root of a trace, and a call that it makes outside of a span begins a trace of its own.
    ///
    /// A second job of the same name is a problem.
    pub fn job<R: JobResult>(mut self, name: &str, run: impl Fn() -> R + 'static) -> Self {
        if let Err(why) = self.add(name, run) {
            self.problems.push(Problem::new(why));
        }
        self
    }

    /// Adds a job that stands at a key of the configuration, and so is its problem if it cannot be one.
    pub fn configured_job<R: JobResult>(
        mut self,
        key: &str,
        name: &str,
        run: impl Fn() -> R + 'static,
    ) -> Self {
        if let Err(why) = self.add(name, run) {
            self.problems.push(Problem::of(key, why));
        }
        self
    }

    fn add<R: JobResult>(&mut self, name: &str, run: impl Fn() -> R + 'static) -> Result<(), String> {
        if self.names().any(|known| known == name) {
            return Err(format!("the job `{name}` is there twice; remove one of them"));
        }
        self.jobs.push((name.to_owned(), Box::new(move || run().into_result())));
        Ok(())
    }

    /// The names of the jobs, in the order in which they were added.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.jobs.iter().map(|(name, _)| name.as_str())
    }

    pub(crate) fn problems(&self) -> impl Iterator<Item = Problem> {
        self.problems.iter().cloned()
    }

    /// Runs the job of this name.
    pub(crate) fn run(&self, name: &str) -> Result<(), String> {
        let (_, run) = self.jobs.iter().find(|(known, _)| known == name).ok_or("there is no such job")?;
        run()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_runs_by_its_name_and_says_why_it_failed() {
        let jobs = Jobs::new().job("good", || ()).job("bad", || Err::<(), _>("no paper"));
        assert_eq!(jobs.names().collect::<Vec<_>>(), ["good", "bad"]);
        assert_eq!(jobs.run("good"), Ok(()));
        assert_eq!(jobs.run("bad"), Err("no paper".to_owned()));
        assert_eq!(jobs.run("other"), Err("there is no such job".to_owned()));
        assert_eq!(jobs.problems().count(), 0);
    }

    #[test]
    fn a_name_that_is_there_twice_is_a_problem_at_its_key() {
        let jobs = Jobs::new().job("a", || ()).job("a", || ()).configured_job("second.job", "a", || ());
        let problems: Vec<_> = jobs.problems().map(|problem| (problem.key, problem.message)).collect();
        let said = "the job `a` is there twice; remove one of them".to_owned();
        assert_eq!(problems, [(None, said.clone()), (Some("second.job".to_owned()), said)]);
    }
}
