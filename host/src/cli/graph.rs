//! `simhost graph`: who calls whom, drawn.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::error::{Problem, Refused, quote};
use crate::graph::{self, MERMAID_EDGES};
use crate::run::{Destinations, Intent, Options, Plan};

use super::tell::tell_doubts;
use super::{environment, guest, refuse, say, write};

/// How the names of images end that are not written here.
const IMAGES: [&str; 10] = ["png", "jpg", "jpeg", "gif", "webp", "bmp", "tif", "tiff", "pdf", "eps"];

#[derive(Debug, Args)]
pub struct Graph {
    /// The topology file
    topology: PathBuf,

    /// The notation [default: as the name of --out ends, else mermaid]
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// Draw another guest as this service: a component's file, or the name of a built-in one; may be repeated
    #[arg(long = "guest", value_name = "SERVICE=GUEST", value_parser = guest)]
    guests: Vec<(String, PathBuf)>,

    /// Leave out the calls that only guests of faults make
    #[arg(long)]
    blind: bool,

    /// The file to write, in place of one that is there; - is standard output [default: -]
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
        let format = match self.format.map_or_else(|| self.by_name(), Ok) {
            Ok(format) => format,
            Err(problem) => return refuse(&Refused::new(None, vec![problem])),
        };
        let Self { topology, guests, blind, out, .. } = self;
        let destinations = Destinations { picture: out.clone(), ..Destinations::default() };
        let options = Options { topology, guests, blind, destinations, ..Options::default() };
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
        write(&graph.write(format.into()), out.as_deref())
    }

    /// The notation that the name of the output means.
    ///
    /// # Errors
    /// It is that of an image, which no notation is.
    fn by_name(&self) -> Result<Format, Problem> {
        let Some(path) = self.out.as_deref() else { return Ok(Format::Mermaid) };
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
        match extension.as_deref() {
            Some("svg") => Ok(Format::Svg),
            Some("dot" | "gv") => Ok(Format::Dot),
            Some(image) if IMAGES.contains(&image) => {
                let name = quote(&path.display().to_string());
                let problem = Problem::new(format!("no graph is written as .{image}: {name}"));
                Err(problem.help("end the name in .svg, .dot or .mmd, or name the notation with --format"))
            }
            _ => Ok(Format::Mermaid),
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
