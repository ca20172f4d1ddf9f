//! The commands that need only the database.

use std::process::ExitCode;

use super::database::open_store;
use crate::cli::{ConsumersAction, VerifyAuditArgs};
use crate::config::Config;
use crate::consumers;
use crate::demo;
use crate::store::postgres::{ConsumerStatus, PostgresStore};

/// Migrates the database to the schema of this version.
///
/// # Errors
/// The database can't be reached or migrated.
pub async fn migrate(config: Config) -> anyhow::Result<()> {
    run_with_store(config, async |_| Ok(())).await
}

/// Starts a new history: a new epoch, for which clients reload their rooms.
///
/// # Errors
/// The database can't be reached or written to.
pub async fn renew_epoch(config: Config) -> anyhow::Result<()> {
    let epoch = run_with_store(config, async |store| Ok(store.renew_epoch().await?)).await?;
    println!("{}", epoch.0);
    Ok(())
}

/// Lists the consumers of the log, or changes one of them.
///
/// # Errors
/// The database can't be reached or written to, or no such consumer exists.
pub async fn manage_consumers(config: Config, action: ConsumersAction) -> anyhow::Result<()> {
    run_with_store(config, async |store| {
        let (name, is_found) = match &action {
            ConsumersAction::List => {
                for ConsumerStatus { name, behind, failure } in store.consumers().await? {
                    let state = failure.map_or("running".to_owned(), |reason| format!("stopped: {reason}"));
                    println!("{name}\t{behind} events behind\t{state}");
                }
                return Ok(());
            }
            ConsumersAction::Skip { name } => (name, store.skip_failure(name).await?),
            ConsumersAction::Rebuild { name } => (name, store.rebuild_consumer(name).await?),
            ConsumersAction::CatchUp { name } => {
                let consumer = consumers::named(name);
                if let Some(consumer) = &consumer {
                    consumers::catch_up(store, consumer.as_ref()).await?;
                }
                (name, consumer.is_some())
            }
        };
        anyhow::ensure!(is_found, "no consumer named {name} that this could be done to");
        Ok(())
    })
    .await
}

/// Verifies the audit log, and prints its last entry or what is wrong.
///
/// # Errors
/// The database can't be reached.
pub async fn verify_audit(args: VerifyAuditArgs) -> anyhow::Result<ExitCode> {
    run_with_store(args.config, async |store| {
        Ok(match store.verify_audit_log(args.noted.as_ref()).await? {
            Ok(last) => {
                println!("audit log: {} entries, nothing changed or missing; last entry {last}", last.id);
                ExitCode::SUCCESS
            }
            Err(fault) => {
                println!("audit log: {fault}");
                ExitCode::FAILURE
            }
        })
    })
    .await
}

/// Inserts demo users and rooms.
///
/// # Errors
/// The database can't be reached or written to.
pub async fn seed(config: Config) -> anyhow::Result<()> {
    run_with_store(config, async |store| demo::seed(store).await).await?;
    println!(
        "Sign in as one of {:?} with the password {}",
        demo::USERS.map(|(username, ..)| username),
        demo::PASSWORD
    );
    Ok(())
}

async fn run_with_store<T>(
    config: Config,
    work: impl AsyncFnOnce(&PostgresStore) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let (database, store) = open_store(&config.validate()?).await?;
    let done = work(&store).await;
    store.close();
    database.stop().await;
    done
}
