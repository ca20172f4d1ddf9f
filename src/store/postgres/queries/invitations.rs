//! Invitations, as those who manage a room see them, and by their tokens.

use actors::domain::ids::{RoomId, UserId};
use actors::domain::invitation::{Invitation, InvitationId};
use actors::domain::participant::Role;
use actors::ports::store::StoreError;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::store::postgres::PostgresStore;

impl PostgresStore {
    /// Finds the invitation whose token has this hash, and its room.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn invitation_of_token(
        &self,
        token_hash: &str,
    ) -> Result<Option<(RoomId, InvitationId)>, StoreError> {
        const FIND: &str = "SELECT i.room_id, i.id FROM invitations i
            JOIN rooms r ON r.id = i.room_id AND r.deleted_at IS NULL WHERE i.token_hash = $1";
        let row = self.read_client().await?.row(FIND, &[&token_hash]).await?;
        Ok(row.map(|row| (RoomId(row.get(0)), InvitationId(row.get(1)))))
    }

    /// Finds the room of an invitation.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn room_of_invitation(&self, id: InvitationId) -> Result<Option<RoomId>, StoreError> {
        const FIND: &str = "SELECT i.room_id FROM invitations i
            JOIN rooms r ON r.id = i.room_id AND r.deleted_at IS NULL WHERE i.id = $1";
        Ok(self.read_client().await?.row(FIND, &[&id.0]).await?.map(|row| RoomId(row.get(0))))
    }

    /// Reads a page of a room's invitations that weren't withdrawn, the newest first, with their total number.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn invitation_page(
        &self,
        room: RoomId,
        limit: i64,
        offset: i64,
    ) -> Result<(i64, Vec<Invitation>), StoreError> {
        const FIND: &str = "SELECT
                (SELECT count(*) FROM invitations WHERE room_id = $1 AND withdrawn = 0),
                i.id, i.token_hash, i.role, i.until, i.uses, i.used, i.created_by, i.created_at, i.expires_at
            FROM (SELECT 1) one LEFT JOIN (
                SELECT * FROM invitations WHERE room_id = $1 AND withdrawn = 0
                ORDER BY created_at DESC, id LIMIT $2 OFFSET $3) i ON true
            ORDER BY i.created_at DESC, i.id";
        let rows = self.read_client().await?.rows(FIND, &[&room.0, &limit, &offset]).await?;
        let count = rows.first().map_or(0, |row| row.get(0));
        Ok((count, rows.iter().filter_map(|row| invitation(room, row)).collect()))
    }
}

fn invitation(room: RoomId, row: &Row) -> Option<Invitation> {
    Some(Invitation {
        room,
        id: InvitationId(row.get::<_, Option<Uuid>>(1)?),
        token_hash: row.get(2),
        role: Role::parse(row.get(3)),
        until: Invitation::end_of_stored(row.get(4)),
        uses: row.get(5),
        used: row.get(6),
        created_by: Some(row.get(7)).filter(|user| *user > 0).map(UserId),
        created_at: row.get(8),
        expires_at: row.get(9),
        is_withdrawn: false,
    })
}
