//! The contract as generated from `wit/service.wit`, for what the rest of this crate does not cover.
#![allow(missing_docs, reason = "generated; the documentation is in the WIT file")]

wit_bindgen::generate!({
    path: "wit",
    world: "service",
    pub_export_macro: true,
    export_macro_name: "export_service",
    default_bindings_module: "simhost_sdk::bindings",
    generate_all,
});

/// What a guest with jobs exports.
pub mod jobs {
    wit_bindgen::generate!({
        path: "wit",
        world: "jobs",
        pub_export_macro: true,
        export_macro_name: "export_jobs",
        default_bindings_module: "simhost_sdk::bindings::jobs",
    });
}

/// What a guest that consumes messages exports.
pub mod consumers {
    wit_bindgen::generate!({
        path: "wit",
        world: "consumers",
        pub_export_macro: true,
        export_macro_name: "export_consumers",
        default_bindings_module: "simhost_sdk::bindings::consumers",
    });
}
