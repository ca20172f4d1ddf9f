-- Settings of rooms, as `actors/src/domain/room_settings.rs` declares them, and what hides a room's history from
-- those who joined later. Nodes from before this neither enforce settings nor hide anything: change none until
-- all nodes are of this version.

ALTER TABLE rooms
    ADD COLUMN posting           text    NOT NULL DEFAULT 'everyone' CHECK (posting IN ('everyone', 'admins')),
    ADD COLUMN slow_mode_seconds integer NOT NULL DEFAULT 0 CHECK (slow_mode_seconds BETWEEN 0 AND 21600),
    ADD COLUMN pinning           text    NOT NULL DEFAULT 'everyone' CHECK (pinning IN ('everyone', 'admins')),
    ADD COLUMN history           text    NOT NULL DEFAULT 'all' CHECK (history IN ('all', 'joined')),
    ADD COLUMN edit_history      boolean NOT NULL DEFAULT true,
    ADD COLUMN description       text    NOT NULL DEFAULT '',
    ADD COLUMN urgent            text    NOT NULL DEFAULT 'everyone' CHECK (urgent IN ('everyone', 'admins', 'nobody')),
    -- The greatest `visible_from_seq` of the participants who are in the room.
    ADD COLUMN visible_to_all_from bigint NOT NULL DEFAULT 0;

-- When someone sent a message last, for slow mode: a deleted message counts too. Those that aren't deleted are in
-- `messages_of_sender`; sending writes nothing here.
CREATE INDEX messages_deleted_of_sender ON messages (room_id, sender_id, seq) WHERE deleted_at IS NOT NULL;
