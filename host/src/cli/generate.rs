//! `simhost generate`: a topology of many services, drawn from a seed.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::error::{Problem, Refused, quote};
use crate::files;
use crate::generate::{self, Wanted};

use super::{among, print, refuse};

#[derive(Debug, Args)]
pub struct Generate {
    /// How many services, 2 to 2000
    #[arg(long, value_name = "N", value_parser = among(&generate::SERVICES))]
    services: u32,

    /// The seed of all chance in it, which becomes the topology's own
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// From the edge to the data, 2 to 12 layers [default: as many as suit the services]
    #[arg(long, value_name = "N", value_parser = among(&generate::LAYERS))]
    layers: Option<u32>,

    /// Requests per second that come in, 1 to 100000: workers are enough for them
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = among(&generate::RATE))]
    rate: u32,

    /// The topology's name [default: services-N]
    #[arg(long, value_parser = crate::topology::name)]
    name: Option<String>,

    /// The file to write, in place of one that is there [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Generate {
    pub fn execute(self) -> ExitCode {
        let Self { services, seed, layers, rate, name, out } = self;
        let file = out.as_deref().and_then(std::path::Path::file_name);
        let file = file.map(|name| name.to_string_lossy().into_owned());
        let text = match generate::generate(&Wanted { services, seed, layers, name, rate, file }) {
            Ok(text) => text,
            Err(problems) => return refuse(&Refused::new(None, problems)),
        };
        let Some(path) = out else { return print(&text) };
        match files::create(&path).and_then(|mut file| file.write_all(text.as_bytes())) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let path = quote(&path.display().to_string());
                let problem = Problem::new(format!("cannot write {path}: {error}"));
                refuse(&Refused::new(None, vec![problem.help("name a file in a folder that is there")]))
            }
        }
    }
}
