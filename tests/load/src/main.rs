//! Loads a server with thousands of sockets and measures what that costs it.
//!
//!     make bench                                    the short set and a table, in less than three minutes
//!     load SCENARIO [name=value]...                 one run, one line of JSON
//!     load help                                     all scenarios and their values
//!
//! Each run starts its own server on a private PostgreSQL, without rate limits: the server on one core, the load
//! generator on another. On a busy machine the reliable figure is what one second of the server's processor time
//! achieves. Every socket checks its frames by their `seq`, so that a run in which a frame is lost, duplicated or
//! out of order fails.

mod client;
mod client_pool;
mod counters;
mod frames;
mod node;
mod report;
mod scenarios;
mod test_data;
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
