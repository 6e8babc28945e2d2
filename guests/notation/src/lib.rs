//! What stands as text in a topology and is read on both sides: by simhost, which checks and shows it, and by the
//! guest `service`, which does it.

mod calls;
mod share;

pub use calls::{Calls, OneCall, Part, parts};
pub use share::parse_share;
