//! Reads the guests of a topology and compiles them.

use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use opentelemetry::KeyValue;

use crate::engine::{self, EMBEDDED, Engine, LoadError};
use crate::error::{Problem, nearest, quote};
use crate::files;
use crate::model::{Code, Model};
use crate::self_telemetry::Phases;

use super::event::RunEvent;

/// The largest component that is read: bytes.
const GUEST_BYTES: u64 = 256 << 20;

/// A guest that takes longer than this to compile is spoken of.
const LONG: Duration = Duration::from_millis(300);

/// A smaller guest takes as long only where the machine is busy with other things: bytes.
const WORTH_TELLING: usize = 512 << 10;

/// Who is told of guests that are compiled.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// At once, if it takes long.
    pub tell: Option<fn(RunEvent)>,
    /// When it is done.
    pub phases: &'a Phases,
}

/// Compiles all guests at once; services with the same guest share its code.
pub(super) fn compile(
    engine: &Engine,
    model: &Model,
    told: Told<'_>,
) -> Vec<Result<Option<engine::CompiledGuest>, Problem>> {
    let mut different: Vec<&Code> = Vec::new();
    for service in &model.services {
        if !different.iter().any(|code| code.is_same(&service.code)) {
            different.push(&service.code);
        }
    }
    let compiled: Vec<_> = std::thread::scope(|scope| {
        let compile = |code| scope.spawn(move || compile_one(engine, code, told));
        let threads: Vec<_> = different.iter().map(|code| compile(*code)).collect();
        let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined.map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    let find = |service: &crate::model::Service| {
        let index = different.iter().position(|code| code.is_same(&service.code));
        let compiled = &compiled[index.expect("every service's code is among the different ones")];
        compiled.clone().map_err(|problem| at(problem, service))
    };
    model.services.iter().map(find).collect()
}

fn compile_one(
    engine: &Engine,
    code: &Code,
    told: Told<'_>,
) -> Result<Option<engine::CompiledGuest>, Problem> {
    let Some((bytes, name)) = bytes(code)? else { return Ok(None) };
    load(engine, &bytes, &name, told)
        .map(Some)
        .map_err(|error: LoadError| Problem::new(error.of(&name)).help(error.remedy()))
}

/// Compiles a guest, and says so while it goes on, if it takes long.
///
/// # Errors
/// What is wrong with the bytes.
pub(super) fn load(
    engine: &Engine,
    bytes: &[u8],
    name: &str,
    told: Told<'_>,
) -> Result<engine::CompiledGuest, LoadError> {
    let attributes = || vec![KeyValue::new("simhost.guest.name", name.to_owned())];
    told.phases.note("compile", attributes, || load_and_tell(engine, bytes, name, told.tell))
}

fn load_and_tell(
    engine: &Engine,
    bytes: &[u8],
    name: &str,
    tell: Option<fn(RunEvent)>,
) -> Result<engine::CompiledGuest, LoadError> {
    let Some(tell) = tell.filter(|_| bytes.len() >= WORTH_TELLING) else {
        return engine.load(name, bytes);
    };
    std::thread::scope(|scope| {
        let (compiled, compiling) = channel::<()>();
        scope.spawn(move || {
            if compiling.recv_timeout(LONG) == Err(RecvTimeoutError::Timeout) {
                tell(RunEvent::Compiling { guest: name.to_owned(), bytes: bytes.len() });
            }
        });
        let code = engine.load(name, bytes);
        drop(compiled);
        code
    })
}

/// The bytes of a guest, and what to call it; none of a real server.
///
/// # Errors
/// There is no such guest, or its file cannot be read.
pub fn bytes(code: &Code) -> Result<Option<(Vec<u8>, String)>, Problem> {
    Ok(match code {
        Code::External(_) => None,
        Code::Embedded(name) => {
            let found = EMBEDDED.iter().find(|(known, _)| known == name);
            let Some((_, bytes)) = found else {
                return Err(Problem::new(format!("no guest {} is built in", quote(name))));
            };
            Some((bytes.to_vec(), name.clone()))
        }
        Code::File { path, place } => {
            let help = match place {
                Some(_) => {
                    "give the path of a built component; relative paths begin at the topology's folder"
                        .to_owned()
                }
                None => {
                    let named = path.display().to_string();
                    let near = nearest(&named, EMBEDDED.map(|(name, _)| name));
                    let near = near.map(|name| format!(". Did you mean the built-in guest {}?", quote(name)));
                    format!(
                        "give the path of a built component; relative paths begin at the current directory{}",
                        near.unwrap_or_default()
                    )
                }
            };
            Some((read(path, &help)?, path.display().to_string()))
        }
    })
}

/// Reads a component. `help` says what to write where it cannot be read.
fn read(path: &Path, help: &str) -> Result<Vec<u8>, Problem> {
    let shown = path.display();
    let refuse =
        |why: String| Err(Problem::new(format!("the guest {shown} cannot be read: {why}")).help(help));
    files::read(path, GUEST_BYTES).or_else(|reason| refuse(reason.to_string()))
}

/// Points a problem at the place where the topology names the guest.
pub fn at(problem: Problem, service: &crate::model::Service) -> Problem {
    match &service.code {
        Code::File { place: Some(place), .. } => problem.at(place.clone(), "this guest"),
        Code::File { place: None, .. } => {
            Problem { message: format!("--guest {}: {}", service.name, problem.message), ..problem }
        }
        _ => problem.at(service.place.clone(), "this service"),
    }
}

/// What a person is told of where the code comes from.
pub fn source(code: &Code) -> String {
    match code {
        Code::Embedded(name) => format!("{name} (built in)"),
        Code::File { path, .. } => path.display().to_string(),
        Code::External(url) => url.clone(),
    }
}
