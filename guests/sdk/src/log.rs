//! Log records, tied to the current span. `println!` and `eprintln!` make log records too, without attributes.
//!
//! ```no_run
//! # use simhost_sdk::prelude::*;
//! log::info("cache is warm");
//! log::write(log::Level::Warn, "stock is low", attributes!["inventory.item" => "book", "inventory.left" => 3]);
//! ```

use crate::Attribute;
use crate::bindings::simhost::service::logging;

pub use logging::Level;

/// Writes a record with [attributes](crate::attributes!).
pub fn write(level: Level, message: &str, attributes: impl AsRef<[Attribute]>) {
    let attributes = attributes.as_ref();
    if cfg!(target_arch = "wasm32") {
        logging::log(level, message, attributes);
    } else {
        // A unit test on the machine that builds: there is no simulator.
        eprintln!("{level:?} {message} {attributes:?}");
    }
}

macro_rules! levels {
    ($($name:ident $level:ident $use:literal;)*) => {
        $(
            #[doc = $use]
            pub fn $name(message: impl AsRef<str>) {
                write(Level::$level, message.as_ref(), []);
            }
        )*
    };
}

levels! {
    trace Trace "The finest detail.";
    debug Debug "For whoever looks into the service.";
    info Info "What happens in normal operation.";
    warn Warn "Something is odd, and was dealt with.";
    error Error "Something failed.";
    fatal Fatal "The service cannot go on.";
}
