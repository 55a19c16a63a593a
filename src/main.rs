//! Runs one command.

#![forbid(unsafe_code)]

use std::process::ExitCode;

/// A request makes some dozens of small allocations; this allocator halves what they cost.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    portcullis::command::main()
}
