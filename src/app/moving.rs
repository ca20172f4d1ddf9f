//! The commands that move a Django chat in and out.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::stat::{Mode, umask};
use secrecy::ExposeSecret;
use tokio::time::sleep;

use super::database::open_store;
use crate::cli::{DjangoArgs, ExportDjangoArgs, ImportDjangoArgs, VerifyDjangoArgs};
use crate::config::{Config, ConfigError, DatabaseAddress, Settings};
use crate::consumers::{self, SearchIndexer};
use crate::files::Uploads;
use crate::moving::export::Export;
use crate::moving::import::{Import, ImportSummary};
use crate::moving::media::MediaSource;
use crate::moving::report::MoveReport;
use crate::moving::verify::Verify;
use crate::moving::{EXPORT_LEASE, IMPORT_LEASE, ImportOptions};
use crate::store::postgres::moving::{DjangoDatabase, DjangoWriter};
use crate::store::postgres::{LogConsumer, NodeLease, NodeNameError, PostgresStore};

/// How often the search index is tried to be filled, and the pause after each try.
const SEARCH_TRIES_MAX: u32 = 300;
const SEARCH_PAUSE: Duration = Duration::from_millis(500);

/// Moves a Django chat in. The exit code is a failure if a room could not be moved.
///
/// # Errors
/// A database or the media folder can't be used, or nodes serve.
pub async fn import_django(args: ImportDjangoArgs) -> anyhow::Result<ExitCode> {
    let ImportDjangoArgs { django, media, dry_run, marks, config } = args;
    let media = MediaSource::parse(&media)?;
    let options = ImportOptions { marks, is_dry_run: dry_run };
    with_chat(config, &django, async |store, uploads, report| {
        // Files are accessible to this account only, as those that a server stores.
        umask(Mode::S_IRWXG | Mode::S_IRWXO);
        let _lease = if dry_run { None } else { Some(acquire_lease(store, IMPORT_LEASE).await?) };
        let began = Instant::now();
        let mut database = DjangoDatabase::connect(django_address(&django)?).await?;
        let (snapshot, writer) = (database.snapshot().await?, store.chat_writer().await?);
        let import = Import { django: &snapshot, writer: &writer, media: &media, uploads, options };
        let summary = import.run(report).await?;
        report.finish()?;
        let ImportSummary { users, rooms, unchanged_rooms, rewritten_rooms, failed_rooms, messages } =
            summary;
        report.line(format_args!(
            "{}{users} people, {rooms} rooms and {messages} messages moved in {}, {unchanged_rooms} rooms unchanged, \
             {rewritten_rooms} rewritten, {failed_rooms} not moved",
            if dry_run { "dry run: " } else { "" },
            seconds(began.elapsed())
        ));
        if !dry_run {
            if rewritten_rooms > 0 {
                // Events have other positions than clients may have seen.
                store.renew_epoch().await?;
            }
            let is_filled = fill_search(store).await.context("the search index")?;
            let state = if is_filled { "is filled" } else { "is not filled yet, the nodes go on with it" };
            report.line(format_args!("search {state} after {} in all", seconds(began.elapsed())));
        }
        Ok(exit_code(failed_rooms == 0))
    })
    .await
}

/// Moves the chat out into Django's tables.
///
/// # Errors
/// A database or the media folder can't be used.
pub async fn export_django(args: ExportDjangoArgs) -> anyhow::Result<ExitCode> {
    let ExportDjangoArgs { django, media, config } = args;
    let folder = media.canonicalize().with_context(|| format!("--media {}", media.display()))?;
    with_chat(config, &django, async |store, uploads, report| {
        let _lease = acquire_lease(store, EXPORT_LEASE).await?;
        let config = django_address(&django)?;
        // Says what is wrong with a database that is none of Django's.
        DjangoDatabase::connect(config.clone()).await?;
        let (mut reader, writer) = (store.chat_writer().await?, store.chat_writer().await?);
        if writer.serving_nodes(EXPORT_LEASE).await? > 0 {
            report.line(
                "nodes serve: what is sent from now on is not exported, unless the export is run again",
            );
        }
        let (chat, target) = (reader.snapshot().await?, DjangoWriter::connect(config).await?);
        let export = Export { chat: &chat, writer: &writer, django: &target, uploads, media: &folder };
        let summary = export.run(report).await?;
        writer.make_durable().await?;
        report.finish()?;
        report.line(format_args!(
            "{} rooms and {} messages exported, {} rows were new or changed",
            summary.rooms, summary.messages, summary.changed
        ));
        Ok(ExitCode::SUCCESS)
    })
    .await
}

/// Compares a Django chat with this one. The exit code is a failure if they differ.
///
/// # Errors
/// A database can't be used.
pub async fn verify_django(args: VerifyDjangoArgs) -> anyhow::Result<ExitCode> {
    let VerifyDjangoArgs { django, marks, config } = args;
    with_chat(config, &django, async |store, uploads, report| {
        let mut database = DjangoDatabase::connect(django_address(&django)?).await?;
        let (snapshot, mut reader) = (database.snapshot().await?, store.chat_writer().await?);
        let chat = reader.snapshot().await?;
        let summary = Verify { django: &snapshot, chat: &chat, uploads, marks }.run(report).await?;
        report.line(format_args!(
            "{} rooms with {} messages compared, {} differences",
            summary.rooms, summary.messages, summary.differences
        ));
        report.finish()?;
        Ok(exit_code(summary.differences == 0))
    })
    .await
}

/// Fills the search index. Returns whether it holds everything: events that committed after the beginning of a
/// transaction that is still open, be it that of a vacuum, can only be indexed after its end.
async fn fill_search(store: &PostgresStore) -> anyhow::Result<bool> {
    for _ in 0..SEARCH_TRIES_MAX {
        consumers::catch_up(store, &SearchIndexer).await?;
        let consumers = store.consumers().await?;
        if consumers.iter().all(|consumer| consumer.name != SearchIndexer.name() || consumer.behind == 0) {
            return Ok(true);
        }
        sleep(SEARCH_PAUSE).await;
    }
    Ok(false)
}

/// Opens the chat's database and files, and the report.
async fn with_chat(
    config: Config,
    django: &DjangoArgs,
    work: impl AsyncFnOnce(&PostgresStore, &Uploads, &mut MoveReport) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let settings = config.validate()?;
    let mut report = MoveReport::new(report_output(django.report.as_deref())?);
    let (database, store) = open_store(&settings).await?;
    let done = match open_uploads(&settings) {
        Ok(uploads) => work(&store, &uploads, &mut report).await,
        Err(error) => Err(error),
    };
    store.close();
    database.stop().await;
    done
}

fn open_uploads(settings: &Settings) -> anyhow::Result<Uploads> {
    Ok(Uploads::open_folder(&settings.data_dir, settings.limits.max_upload_bytes)?)
}

fn report_output(file: Option<&Path>) -> anyhow::Result<Box<dyn Write + Send>> {
    Ok(match file {
        Some(file) => Box::new(File::create(file).with_context(|| format!("--report {}", file.display()))?),
        None => Box::new(io::stdout()),
    })
}

/// One of a kind at a time.
async fn acquire_lease(store: &PostgresStore, name: &str) -> anyhow::Result<NodeLease> {
    store.acquire_node_id(name).await.map_err(|error| match error {
        NodeNameError::Taken(_) => anyhow::anyhow!("another {name} is running"),
        other @ NodeNameError::Unavailable(_) => other.into(),
    })
}

fn django_address(django: &DjangoArgs) -> Result<DatabaseAddress, ConfigError> {
    DatabaseAddress::parse("DJANGO_DATABASE_URL", django.django.expose_secret())
}

fn exit_code(is_good: bool) -> ExitCode {
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
