//! Loads a server with thousands of sockets and measures what that costs it.
//!
//!     make bench                                    the short set, under three minutes, and a table
//!     load SCENARIO [name=value]...                 one run, one line of JSON
//!     load help                                     all scenarios and their values
//!
//! Each run starts a server of its own on a private PostgreSQL, with the rates lifted: the server on
//! one core, the loader on another. The figure to trust on a busy machine is what one second of the
//! server's processor time achieves. In each run every socket's frames are counted by their `seq`, so a
//! lost, doubled or disordered one is seen, and the run fails.

mod client;
mod crowd;
mod frames;
mod node;
mod people;
mod report;
mod scenarios;
mod tally;
mod usage;
mod values;

use std::process::ExitCode;

use values::Values;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let ended = Values::parse(arguments).and_then(|values| match name.as_str() {
        "" | "help" | "--help" => {
            print!("{}", scenarios::help());
            Ok(true)
        }
        "short" => report::set(&scenarios::short(), &values),
        _ => report::one(scenarios::named(&name)?, &values),
    });
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::FAILURE
        }
    }
}
