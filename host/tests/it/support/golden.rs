//! Golden files: what is printed, as it was when somebody last read it.

use std::path::Path;

/// Compares what was `said` with the file at `path`; with `BLESS` in the environment it writes the file.
#[track_caller]
pub fn golden(path: &Path, said: &str) {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, said).expect("a golden file");
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    let differs = golden.lines().zip(said.lines()).position(|(golden, said)| golden != said);
    let at = differs.unwrap_or_else(|| golden.lines().count().min(said.lines().count()));
    let (was, is) = (golden.lines().nth(at), said.lines().nth(at));
    let name = path.display();
    assert!(golden == said, "{name}:{}: was {was:?}, is {is:?}; BLESS=1 writes it anew", at + 1);
}
