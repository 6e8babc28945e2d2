//! `simhost graph`: who calls whom, drawn.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::error::{Problem, Refused, quote};
use crate::graph::{self, MERMAID_EDGES};
use crate::run::{Intent, Options, Plan};

use super::tell::tell_doubts;
use super::{environment, guest, print, refuse, say};

#[derive(Debug, Args)]
pub struct Graph {
    /// The topology file
    topology: PathBuf,

    /// The notation [default: as the name of --out ends, else mermaid]
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// Draw another component as this service's guest; may be repeated
    #[arg(long = "guest", value_name = "SERVICE=FILE", value_parser = guest)]
    guests: Vec<(String, PathBuf)>,

    /// The file to write, in place of one that is there [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For Markdown, as GitHub and GitLab draw it
    Mermaid,
    /// For Graphviz
    Dot,
    /// A picture
    Svg,
}

impl Graph {
    pub fn execute(self) -> ExitCode {
        let format = self.format.unwrap_or_else(|| self.by_name());
        let Self { topology, guests, out, .. } = self;
        let options = Options { topology, guests, ..Options::default() };
        let plan = match Plan::from_file(options, Intent::Describe, environment) {
            Ok(plan) => plan,
            Err(refused) => return refuse(&refused),
        };
        tell_doubts(&plan);
        let graph = plan.graph();
        if format == Format::Mermaid && graph.edges.len() > MERMAID_EDGES {
            let edges = graph.edges.len();
            say(&format!(
                "note: mermaid draws {MERMAID_EDGES} edges, and this graph has {edges}: use --format svg\n"
            ));
        }
        let text = graph.write(format.into());
        let Some(path) = out else { return print(&text) };
        match std::fs::write(&path, text) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let problem =
                    Problem::new(format!("cannot write {}: {error}", quote(&path.display().to_string())));
                refuse(&Refused::new(None, vec![problem.help("name a file in a folder that is there")]))
            }
        }
    }

    /// The notation that the name of the output means.
    fn by_name(&self) -> Format {
        let extension = self.out.as_deref().and_then(|path| path.extension());
        match extension.and_then(|extension| extension.to_str()) {
            Some("svg") => Format::Svg,
            Some("dot" | "gv") => Format::Dot,
            _ => Format::Mermaid,
        }
    }
}

impl From<Format> for graph::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Mermaid => Self::Mermaid,
            Format::Dot => Self::Dot,
            Format::Svg => Self::Svg,
        }
    }
}
