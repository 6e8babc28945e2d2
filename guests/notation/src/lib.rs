//! What stands as text in a topology and is read on both sides: by simhost, which checks and shows it, and by the
//! guest `service`, which does it. And how both speak of names that they do not know.

mod calls;
mod names;
mod share;

pub use calls::{Calls, OneCall, Part, parts};
pub use names::{did_you_mean, list, nearest, quote};
pub use share::{parse_share, show_share};
