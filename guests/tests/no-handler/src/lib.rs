//! A sound component that is no guest: it exports something else.

#![allow(missing_docs, reason = "generated; the documentation is in the WIT file")]

wit_bindgen::generate!({
    inline: "
        package simhost:tests;

        world no-handler {
            export greet: func(name: string) -> string;
        }
    ",
});

struct NoHandler;

impl Guest for NoHandler {
    fn greet(name: String) -> String {
        format!("hello, {name}")
    }
}

export!(NoHandler);
