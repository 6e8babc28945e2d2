//! Handlers that do not come back.

use simhost_sdk::prelude::*;
use std::hint::black_box;

pub fn panic() -> Response {
    let _span = Span::start("about_to_panic");
    panic!("trouble was asked to panic")
}

pub fn unreachable() -> Response {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    std::process::abort();
}

pub fn exit() -> Response {
    std::process::exit(3)
}

pub fn busy_loop() -> Response {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

pub fn loop_sleep() -> Response {
    loop {
        clock::sleep(Duration::from_millis(1));
    }
}

pub fn loop_log() -> Response {
    for number in 0_u64.. {
        log::info(format!("again and again, {number}"));
    }
    Response::new(200)
}

pub fn allocate() -> Response {
    const MIB: usize = 1 << 20;
    let mut hoard = Vec::new();
    loop {
        // Written to, so that the memory is really taken.
        hoard.push(black_box(vec![1_u8; MIB]));
    }
}

/// Not a trap: the allocation fails, and the handler goes on.
pub fn ask_too_much() -> Response {
    let mut hoard = Vec::<u8>::new();
    match hoard.try_reserve_exact(black_box(1 << 30)) {
        Ok(()) => Response::new(200),
        Err(_) => Response::new(507),
    }
}

pub fn recurse() -> String {
    descend(black_box(0)).to_string()
}

#[expect(unconditional_recursion, reason = "the stack is to run out")]
#[inline(never)]
fn descend(depth: u64) -> u64 {
    // Used after the call, so that the call cannot become a loop.
    let frame = black_box([depth; 32]);
    descend(depth + 1) + frame[7]
}
