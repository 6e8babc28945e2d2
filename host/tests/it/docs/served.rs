//! Blocks with the mark `serve`: the first command listens, and the others send it requests.
//!
//! It listens on a free port in place of the one that its topology names, and so do the others ask that one.
//! What is shown below the first command is what it has printed when all is answered, on either stream:
//! more lines may follow.

use std::fs;

use super::stage::{Stage, Step, difference};
use crate::support::finish;
use crate::support::server::Server;

/// Plays a block. Returns the commands that do not print what is shown, each with what it prints.
pub fn play<'a>(stage: &Stage, steps: &'a [Step]) -> Vec<(&'a String, String)> {
    let (run, requests) = steps.split_first().expect("a command");
    let named = listen(stage, &run.command);
    let (_, port) = named.rsplit_once(':').expect("a port");
    let server = Server::spawn(&mut stage.shell(&format!("exec env {} --listen 127.0.0.1:0", run.command)));
    let bound = server.address.to_string();
    let mut wrong = Vec::new();
    for step in requests {
        let places = [format!("localhost:{port}"), format!("127.0.0.1:{port}")];
        let command = places.iter().fold(step.command.clone(), |line, place| line.replace(place, &bound));
        if command == step.command {
            wrong.push((&step.command, format!("it asks nobody at port {port}, where the run listens")));
            continue;
        }
        let finished = finish(&mut stage.shell(&command));
        wrong.extend(step.problem(&finished).map(|problem| (&step.command, problem)));
    }
    let finished = server.stop();
    let said = format!("{}{}", finished.stderr, finished.stdout).replace(&bound, &named);
    let shown = [&run.shown[..], &["…".to_owned()]].concat();
    let problem = difference(&said, &shown).filter(|_| !run.shown.is_empty());
    wrong.extend(problem.map(|line| (&run.command, format!("it does not print\n{line}\nbut\n{said}"))));
    if finished.code != Some(0) {
        wrong.push((&run.command, format!("its exit code is {:?}\n{said}", finished.code)));
    }
    wrong
}

/// Where the topology of a command says that it listens.
fn listen(stage: &Stage, command: &str) -> String {
    let file = command.split(' ').find(|word| word.ends_with(".toml")).expect("a topology");
    let text = fs::read_to_string(stage.path().join(file)).expect("the topology");
    let line = text.lines().find_map(|line| line.strip_prefix("listen = \""));
    line.and_then(|rest| rest.strip_suffix('"')).expect("an address in [ingress]").to_owned()
}
