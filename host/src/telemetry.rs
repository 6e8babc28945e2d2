//! What happened, as spans and log records, on its way out.
//!
//! The core thread fills [`record`]s and hands them over in batches; another
//! thread encodes and exports them. Nothing here ever makes a guest wait.

pub mod console;
pub mod record;
pub mod recorder;
pub mod sampler;
