//! What goes into an archive.

use actors::domain::ids::RoomId;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Duration, Instant};
use uuid::Uuid;

use super::archive::Archive;
use super::{ExportError, ExportKey};
use crate::files::FileOpenError;
use crate::http::ApiState;
use crate::store::postgres::record::export_lines::{ExportCursor, ExportScope, ExportTable};
use crate::store::postgres::record::exports::{ExportJob, ExportSubject};

/// How often a node says that it still writes.
const KEEP_EVERY: Duration = Duration::from_secs(10);
/// Rooms that are listed at a time.
const ROOMS_AT_ONCE: i64 = 200;

/// The tables of a room, and the names of their entries.
const ROOM_TABLES: [(ExportTable, &str); 6] = [
    (ExportTable::Room, "room"),
    (ExportTable::Participants, "participants"),
    (ExportTable::Events, "events"),
    (ExportTable::Messages, "messages"),
    (ExportTable::Versions, "versions"),
    (ExportTable::Held, "deleted_under_hold"),
];

/// The files of a message.
#[derive(Deserialize)]
struct ExportedFiles {
    file_ids: Vec<Uuid>,
}

/// An archive of one export, and the claim of the node that writes it.
struct Writer<'a> {
    state: &'a ApiState,
    id: Uuid,
    at: Option<DateTime<Utc>>,
    owner: Uuid,
    archive: Archive,
    kept_at: Instant,
}

/// Writes the archive of an export. Returns its size and its SHA-256.
pub(super) async fn write(
    state: &ApiState,
    export: &ExportJob,
    owner: Uuid,
) -> Result<(u64, Vec<u8>), ExportError> {
    let key = ExportKey::load(&state.store).await?;
    let file = state.uploads.export(export.id).await;
    let file = file.map_err(|error| ExportError::Storage(error.to_string()))?;
    let now = Utc::now();
    // What comes while it is written isn't in it.
    let at = Some(export.at.unwrap_or(export.created_at));
    let archive = Archive::new(file, u64::try_from(now.timestamp()).unwrap_or_default());
    let mut writer = Writer { state, id: export.id, at, owner, archive, kept_at: Instant::now() };
    let subject = match export.subject {
        ExportSubject::Room(room) => {
            writer.add_room(room).await?;
            json!({ "room": room })
        }
        ExportSubject::User(user) => {
            let scope = ExportScope { user: Some(user), at, ..ExportScope::default() };
            for (table, name) in [
                (ExportTable::Account, "account"),
                (ExportTable::Memberships, "memberships"),
                (ExportTable::OwnMessages, "messages"),
            ] {
                writer.add_table(table, scope, name).await?;
            }
            writer.add_files(ExportTable::OwnFiles, scope, "").await?;
            json!({ "user": user })
        }
        ExportSubject::All => {
            let scope = ExportScope { at, ..ExportScope::default() };
            writer.add_table(ExportTable::Users, scope, "users").await?;
            writer.add_table(ExportTable::Audit, scope, "audit").await?;
            let mut after = RoomId(Uuid::nil());
            loop {
                let rooms = state.store.rooms_to_export(after, ROOMS_AT_ONCE).await?;
                let Some(last) = rooms.last() else { break };
                after = *last;
                for room in rooms {
                    writer.add_room(room).await?;
                }
            }
            json!({ "all": true })
        }
    };
    let about = json!({"export": export.id, "subject": subject, "at": at, "written_at": now});
    writer.archive.seal(&key, &about).await
}

impl Writer<'_> {
    async fn add_room(&mut self, room: RoomId) -> Result<(), ExportError> {
        let scope = ExportScope { room: Some(room), at: self.at, ..ExportScope::default() };
        for (table, name) in ROOM_TABLES {
            self.add_table(table, scope, &format!("rooms/{room}/{name}")).await?;
        }
        let folder = format!("rooms/{room}/");
        self.add_files(ExportTable::Files, scope, &folder).await?;
        self.add_files(ExportTable::HeldFiles, scope, &folder).await
    }

    /// Adds the lines of a table, an entry for each page of them.
    async fn add_table(
        &mut self,
        table: ExportTable,
        scope: ExportScope,
        name: &str,
    ) -> Result<(), ExportError> {
        let (mut cursor, mut number) = (ExportCursor::START, 0_u32);
        while let Some((lines, end)) = self.state.store.export_lines(table, scope, cursor).await? {
            self.keep().await?;
            cursor = end;
            number += 1;
            let text = lines.join("\n") + "\n";
            self.archive.add(&format!("{name}-{number:06}.jsonl"), text.as_bytes()).await?;
        }
        Ok(())
    }

    /// Adds files under their ids; their messages have the names. One that is deleted meanwhile is left out.
    async fn add_files(
        &mut self,
        table: ExportTable,
        scope: ExportScope,
        folder: &str,
    ) -> Result<(), ExportError> {
        let mut cursor = ExportCursor::START;
        while let Some((lines, end)) = self.state.store.export_lines(table, scope, cursor).await? {
            cursor = end;
            for line in lines {
                self.keep().await?;
                let Ok(ExportedFiles { file_ids }) = serde_json::from_str(&line) else { continue };
                for file in file_ids {
                    self.add_file(file, folder).await?;
                }
            }
        }
        Ok(())
    }

    async fn add_file(&mut self, file: Uuid, folder: &str) -> Result<(), ExportError> {
        let body = match self.state.uploads.open(file, None).await {
            Err(FileOpenError::NotFound) => return Ok(()),
            opened => opened?,
        };
        let name = format!("{folder}files/{file}");
        self.archive.add_stream(&name, body.size, body.stream).await
    }

    /// Says now and then that this node still writes.
    async fn keep(&mut self) -> Result<(), ExportError> {
        if self.kept_at.elapsed() < KEEP_EVERY {
            return Ok(());
        }
        self.kept_at = Instant::now();
        if self.state.store.keep_export(self.id, self.owner).await? { Ok(()) } else { Err(ExportError::Lost) }
    }
}
