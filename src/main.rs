//! The `aristay-chat` binary: parses the command line and runs the command from the library.

use std::process::ExitCode;

use aristay_chat::cli::{self, Command};
use aristay_chat::config::ConfigError;
use aristay_chat::{app, http, telemetry};

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Exit code for an invalid setting.
const WRONG_SETTING: u8 = 2;

fn main() -> ExitCode {
    let command = cli::parse();
    #[cfg(feature = "failpoints")]
    arm_failpoint();
    match actix_rt::System::new().block_on(run(command)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("aristay-chat: {error:#}");
            if error.is::<ConfigError>() { ExitCode::from(WRONG_SETTING) } else { ExitCode::FAILURE }
        }
    }
}

/// Arms the failpoint that `FAILPOINT` names: with `committed:40` the process fails at the fortieth commit.
#[cfg(feature = "failpoints")]
fn arm_failpoint() {
    let Ok(given) = std::env::var("FAILPOINT") else { return };
    let (point, times) = given.split_once(':').expect("FAILPOINT=point:times");
    let point = actors::failpoint::Failpoint::named(point).expect("FAILPOINT names a point");
    actors::failpoint::arm(point, times.parse().expect("FAILPOINT says how many times"));
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => {
            telemetry::start_logs(&args.config.log, args.config.log_format)?;
            app::serve(*args).await
        }
        Command::Token(args) => {
            println!("{}", cli::token(*args)?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Migrate(args) => {
            telemetry::start_logs(&args.config.log, args.config.log_format)?;
            app::migrate(args.config).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Seed(args) => {
            telemetry::start_logs(&args.config.log, args.config.log_format)?;
            app::seed(args.config).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::RenewEpoch(args) => {
            telemetry::start_logs(&args.config.log, args.config.log_format)?;
            app::renew_epoch(args.config).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Consumers(args) => {
            telemetry::start_logs(&args.config.log, args.config.log_format)?;
            app::manage_consumers(args.config, args.action).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::VerifyAudit(args) => {
            telemetry::start_logs(&args.config.log, args.config.log_format)?;
            app::verify_audit(*args).await
        }
        Command::ImportDjango(args) => {
            telemetry::start_logs(&args.config.log, args.config.log_format)?;
            app::import_django(*args).await
        }
        Command::ExportDjango(args) => {
            telemetry::start_logs(&args.config.log, args.config.log_format)?;
            app::export_django(*args).await
        }
        Command::VerifyDjango(args) => {
            telemetry::start_logs(&args.config.log, args.config.log_format)?;
            app::verify_django(*args).await
        }
        Command::Openapi(args) => {
            let document = http::openapi::document().to_pretty_json()? + "\n";
            match args.out {
                Some(path) => std::fs::write(path, document)?,
                None => print!("{document}"),
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}
