//! By how much two runs differ in what stands behind services: topics and groups, jobs, databases, caches.

use crate::report::{
    CacheRow, DatabaseRow, GroupRow, JobRow, Numbers, PoolRow, Report, StatementRow, TopicNumbers,
};

use super::{Counted, Rank, Shift, by_impact, total};

/// What became of the messages of each topic, that which changed most first.
pub fn topics(before: &Report, after: &Report) -> Vec<Shift<TopicNumbers>> {
    by_impact([before, after], |report| {
        report.topics.iter().map(|row| ((row.topic.clone(), None), row.numbers.clone())).collect()
    })
}

/// The messages of each topic in each group, those that changed most first.
pub fn groups(before: &Report, after: &Report) -> Vec<Shift<GroupRow>> {
    by_impact([before, after], |report| {
        let groups = report.topics.iter().flat_map(|topic| topic.groups.iter().map(move |row| (topic, row)));
        groups.map(|(topic, row)| ((row.group.clone(), Some(topic.topic.clone())), row.clone())).collect()
    })
}

/// The runs of each job, those that changed most first.
pub fn jobs(before: &Report, after: &Report) -> Vec<Shift<JobRow>> {
    by_impact([before, after], |report| {
        report.jobs.iter().map(|row| ((row.service.clone(), Some(row.job.clone())), row.clone())).collect()
    })
}

/// The statements of each summary, those that changed most first.
pub fn statements(before: &Report, after: &Report) -> Vec<Shift<StatementRow>> {
    by_impact([before, after], |report| {
        let of = |database: &DatabaseRow, row: &StatementRow| {
            ((database.database.clone(), Some(row.statement.clone())), row.clone())
        };
        let databases = report.databases.iter();
        databases.flat_map(|of_it| of_it.statements.iter().map(move |row| of(of_it, row))).collect()
    })
}

/// What requests met at each service's pools of connections, that which changed most first.
pub fn pools(before: &Report, after: &Report) -> Vec<Shift<PoolRow>> {
    by_impact([before, after], |report| {
        let of = |database: &DatabaseRow, row: &PoolRow| {
            ((row.service.clone(), Some(database.database.clone())), row.clone())
        };
        let databases = report.databases.iter();
        databases.flat_map(|of_it| of_it.pools.iter().map(move |row| of(of_it, row))).collect()
    })
}

/// What was asked of each cache, that which changed most first.
pub fn caches(before: &Report, after: &Report) -> Vec<Shift<CacheRow>> {
    by_impact([before, after], |report| {
        report.caches.iter().map(|row| ((row.cache.clone(), None), row.clone())).collect()
    })
}

// In all of these, rates also depend on when the last request of the run ended, whosever it was.

impl Counted for TopicNumbers {
    fn same(&self, other: &Self) -> bool {
        Self { rate: 0.0, ..self.clone() } == Self { rate: 0.0, ..other.clone() }
    }

    fn rank(&self) -> Rank {
        let Self { refused, dropped, expired, published, .. } = self;
        [(refused + dropped + expired).into(), (*published).into(), 0]
    }
}

impl Counted for GroupRow {
    fn same(&self, other: &Self) -> bool {
        let apart = |row: &Self| Self { rate: 0.0, processing: Numbers::default(), ..row.clone() };
        self.processing.same(&other.processing) && apart(self) == apart(other)
    }

    /// What is given up or missed, what is left, and how old messages are together.
    fn rank(&self) -> Rank {
        let Self { rejected, exhausted, missed, lag_end, age_mean_ns, done, .. } = *self;
        [(rejected + exhausted + missed).into(), lag_end.into(), total(age_mean_ns, done)]
    }
}

impl Counted for JobRow {
    fn same(&self, other: &Self) -> bool {
        let apart = |row: &Self| (row.skipped, row.in_flight);
        self.numbers.same(&other.numbers) && apart(self) == apart(other)
    }

    fn rank(&self) -> Rank {
        let [errors, time, _] = self.numbers.rank();
        [errors, self.skipped.into(), time]
    }
}

impl Counted for StatementRow {
    fn same(&self, other: &Self) -> bool {
        let apart = |row: &Self| (row.rows_scanned, row.lock_waits, row.lock_wait_mean_ns);
        self.numbers.same(&other.numbers) && apart(self) == apart(other)
    }

    fn rank(&self) -> Rank {
        let [errors, time, _] = self.numbers.rank();
        [errors, time, self.rows_scanned.into()]
    }
}

impl Counted for PoolRow {
    fn same(&self, other: &Self) -> bool {
        self == other
    }

    fn rank(&self) -> Rank {
        [(self.timeouts + self.refused).into(), total(self.wait_mean_ns, self.waited), self.asked.into()]
    }
}

impl Counted for CacheRow {
    fn same(&self, other: &Self) -> bool {
        Self { rate: 0.0, ..self.clone() } == Self { rate: 0.0, ..other.clone() }
    }

    fn rank(&self) -> Rank {
        [self.unanswered.into(), self.misses.into(), self.commands.into()]
    }
}
