//! What surrounds the program: inputs that are no files, pipes that nobody reads, signals,
//! few file descriptors.

mod inputs;
mod outputs;
mod signals;
mod unread;

use crate::support;
use crate::support::Topology;

#[test]
fn few_file_descriptors_are_an_error_with_a_remedy() {
    let topology = Topology::probe();
    let flags = ["--listen", "127.0.0.1:0", "--for", "10ms", "--out", "out.jsonl"];
    for files in [4, 5, 6, 7, 8, 12, 16, 24, 31] {
        let limit = format!("ulimit -n {files}");
        let finished = support::finish(&mut topology.in_shell(&limit, &flags));
        let expected = format!(
            "error: this process may open {files} files, and simhost needs 32\n  help: raise the limit, for \
             example: ulimit -n 1024\n"
        );
        assert_eq!((finished.code, finished.stderr), (Some(1), expected), "{files}");
    }
    for files in [32, 33, 34, 36, 40, 48, 64] {
        let finished = support::finish(&mut topology.in_shell(&format!("ulimit -n {files}"), &flags));
        assert_eq!(finished.code, Some(0), "{files}: {}", finished.stderr);
    }
    // As many as the process may have are as good as given.
    let finished = support::finish(&mut topology.in_shell("ulimit -S -n 8", &flags));
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
}
