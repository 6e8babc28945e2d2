//! `simhost generate`: a topology of many services, drawn from a seed.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::error::Refused;
use crate::generate::{self, Generated, Wanted};

use super::{among, complain, refuse, writable, write};

#[derive(Debug, Args)]
pub struct Generate {
    /// How many services, 2 to 2000
    #[arg(long, value_name = "N", value_parser = among(&generate::SERVICES))]
    services: u32,

    /// The seed of all chance in it, which becomes the topology's own
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = super::seed)]
    seed: u64,

    /// How many layers there are from the edge to the data, 2 to 12 [default: as many as suit the services]
    #[arg(long, value_name = "N", value_parser = among(&generate::LAYERS))]
    layers: Option<u32>,

    /// Requests per second that come in, 1 to 100000: workers are enough for them
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = among(&generate::RATE))]
    rate: u32,

    /// At most this many caches of services, 0 to 500 [default: one for ten services]
    #[arg(long, value_name = "N", value_parser = among(&generate::BACKING))]
    caches: Option<u32>,

    /// At most this many topics that services send messages to, 0 to 500 [default: one for ten services]
    #[arg(long, value_name = "N", value_parser = among(&generate::BACKING))]
    topics: Option<u32>,

    /// At most this many databases that services ask with SQL, 0 to 100 [default: one for ten services]
    #[arg(long, value_name = "N", value_parser = among(&generate::DATABASES))]
    databases: Option<u32>,

    /// The topology's name [default: services-N]
    #[arg(long, value_parser = crate::topology::name)]
    name: Option<String>,

    /// The file to write, in place of one that is there; - is standard output [default: -]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Generate {
    pub fn execute(self) -> ExitCode {
        let Self { services, seed, layers, rate, caches, topics, databases, name, out } = self;
        if let Err(refused) = writable(out.as_deref()) {
            return refuse(&refused);
        }
        let path = out.as_deref().filter(|path| path.as_os_str() != "-");
        let file = path.and_then(std::path::Path::file_name);
        let file = file.map(|name| name.to_string_lossy().into_owned());
        let wanted = Wanted { services, seed, layers, name, rate, caches, topics, databases, file };
        let Generated { text, fewer } = match generate::generate(&wanted) {
            Ok(generated) => generated,
            Err(problems) => return refuse(&Refused::new(None, problems)),
        };
        fewer.iter().for_each(|note| complain("note", note, None));
        write(&text, out.as_deref())
    }
}
