//! Runs one command.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    portcullis::command::main()
}
