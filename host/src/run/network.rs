//! The network threads of a run, the port that it listens on, and its client of real servers.

use std::rc::Rc;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::bus::External;
use crate::external::HttpClient;
use crate::model::{Code, Model};

use super::{Options, RunError};

/// The threads of the network: servers, exporters, calls to real services.
pub fn network() -> std::io::Result<Runtime> {
    // One processor is the core thread's.
    let others = std::thread::available_parallelism().map_or(1, |all| all.get().saturating_sub(1));
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(others.clamp(1, 4))
        .thread_name("simhost-network")
        .enable_all()
        .build()
}

/// Opens the port of the ingress, where the run listens.
///
/// # Errors
/// The port is taken, or may not be used.
pub fn open_listener(
    options: &Options,
    model: &Model,
    network: &Runtime,
) -> Result<Option<TcpListener>, RunError> {
    let Some(ingress) = model.ingress.as_ref().filter(|_| options.listens()) else {
        return Ok(None);
    };
    let address = ingress.listen;
    match network.block_on(TcpListener::bind(address)) {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(RunError::PortInUse { address }),
        Err(error) => Err(RunError::Listen { address, error }),
    }
}

/// The client of real servers, for a run that may call any: it has one in the topology, or may call hosts
/// outside of it.
pub fn external(
    options: &Options,
    model: &Model,
    network: &Runtime,
) -> Result<Option<Rc<dyn External>>, RunError> {
    let external = model.services.iter().any(|service| matches!(service.code, Code::External(_)));
    if options.virtual_time || !external && model.allowed_hosts.is_empty() {
        return Ok(None);
    }
    http_client(network).map(Some)
}

/// A client of HTTP servers.
pub fn http_client(network: &Runtime) -> Result<Rc<dyn External>, RunError> {
    let client = HttpClient::new(network.handle().clone());
    let client = client.map_err(|error| RunError::System(std::io::Error::other(error)))?;
    Ok(Rc::new(client))
}
