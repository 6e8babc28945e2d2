//! Guests of contract 0.2, today's. Each has a part of what a guest may export.

use wasmtime::Store;
use wasmtime::component::InstancePre;

use crate::guest::bindings::exports::simhost::service::{consumer, handler, job};
use crate::guest::host::GuestState;

use super::{Export, Exports, RoutesFunction};

/// The code of a guest, and where in it the functions are that it exports.
#[derive(Clone)]
pub struct GuestPre {
    code: InstancePre<GuestState>,
    handler: Option<handler::GuestIndices>,
    job: Option<job::GuestIndices>,
    consumer: Option<consumer::GuestIndices>,
}

/// What `names` returns.
pub(super) type NamesResult = Result<Vec<String>, Vec<job::Problem>>;

/// What `topics` returns.
pub(super) type TopicsResult = Result<Vec<String>, Vec<consumer::Problem>>;

impl GuestPre {
    /// The code of a guest with these exports.
    ///
    /// # Errors
    /// It does not have them.
    pub(super) fn new(exports: &[Export], code: InstancePre<GuestState>) -> wasmtime::Result<Self> {
        let has = |export| exports.contains(&export);
        let handler = has(Export::Handler).then(|| handler::GuestIndices::new(&code)).transpose()?;
        let job = has(Export::Job).then(|| job::GuestIndices::new(&code)).transpose()?;
        let consumer = has(Export::Consumer).then(|| consumer::GuestIndices::new(&code)).transpose()?;
        Ok(Self { code, handler, job, consumer })
    }

    pub(super) fn engine(&self) -> &wasmtime::Engine {
        self.code.engine()
    }

    pub(super) const fn has(&self, export: Export) -> bool {
        match export {
            Export::Handler => self.handler.is_some(),
            Export::Job => self.job.is_some(),
            Export::Consumer => self.consumer.is_some(),
        }
    }

    pub(super) async fn instantiate(&self, store: &mut Store<GuestState>) -> wasmtime::Result<Exports> {
        let instance = self.code.instantiate_async(&mut *store).await?;
        let handler =
            self.handler.as_ref().map(|handler| handler.load(&mut *store, &instance)).transpose()?;
        let job = self.job.as_ref().map(|job| job.load(&mut *store, &instance)).transpose()?;
        let consumer =
            self.consumer.as_ref().map(|consumer| consumer.load(&mut *store, &instance)).transpose()?;
        Ok(Exports {
            handle: handler.as_ref().map(|handler| handler.func_handle()),
            routes: handler.map(|handler| RoutesFunction::V0_2(handler.func_routes())),
            job,
            receive: consumer.as_ref().map(|consumer| consumer.func_receive()),
            topics: consumer.map(|consumer| consumer.func_topics()),
        })
    }
}

impl From<job::Problem> for handler::Problem {
    fn from(job::Problem { key, message, remedy }: job::Problem) -> Self {
        Self { key, message, remedy }
    }
}

impl From<consumer::Problem> for handler::Problem {
    fn from(consumer::Problem { key, message, remedy }: consumer::Problem) -> Self {
        Self { key, message, remedy }
    }
}
