-- Legal holds: what nobody deletes for good as long as one is on it; and for how long messages are kept. Nodes from before
-- this delete rooms, accounts and files in spite of holds: place none until all nodes are of this version.

CREATE TABLE holds (
    id          uuid        PRIMARY KEY,
    room_id     uuid,
    user_id     bigint,
    name        text        NOT NULL,
    -- Who placed and released it; none for the host application.
    created_by  bigint,
    created_at  timestamptz NOT NULL DEFAULT now(),
    released_by bigint,
    released_at timestamptz,
    CHECK (num_nonnulls(room_id, user_id) = 1)
);
CREATE INDEX holds_of_room ON holds (room_id) WHERE released_at IS NULL AND room_id IS NOT NULL;
CREATE INDEX holds_of_user ON holds (user_id) WHERE released_at IS NULL AND user_id IS NOT NULL;

-- Whether a hold is on the room, so that who locks it knows.
ALTER TABLE rooms ADD COLUMN is_held boolean NOT NULL DEFAULT false;

-- What was deleted under a hold, as it was.
CREATE TABLE held_messages (
    room_id         uuid        NOT NULL,
    message_id      uuid        NOT NULL,
    seq             bigint      NOT NULL,
    sender_id       bigint      NOT NULL,
    content         text        NOT NULL,
    -- Earlier texts: [{"content", "at"}], the oldest first.
    versions        jsonb       NOT NULL,
    -- All its files, the first one first.
    file_ids        uuid[]      NOT NULL,
    attachment_name text,
    created_at      timestamptz NOT NULL,
    deleted_at      timestamptz NOT NULL,
    PRIMARY KEY (room_id, message_id)
);
CREATE INDEX held_messages_of_sender ON held_messages (sender_id, message_id);
CREATE INDEX held_messages_of_file ON held_messages USING gin (file_ids);

-- Whatever deletes a message, in the transaction that does.
CREATE FUNCTION keep_held_message() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM holds h WHERE h.room_id = OLD.room_id AND h.released_at IS NULL)
        OR EXISTS (SELECT FROM holds h WHERE h.user_id = OLD.sender_id AND h.released_at IS NULL)
    THEN
        INSERT INTO held_messages (room_id, message_id, seq, sender_id, content, versions, file_ids, attachment_name,
                created_at, deleted_at)
            VALUES (OLD.room_id, OLD.id, OLD.seq, OLD.sender_id, OLD.content,
                coalesce((SELECT jsonb_agg(jsonb_build_object('content', v.content, 'at', v.at) ORDER BY v.rev)
                    FROM message_versions v WHERE v.room_id = OLD.room_id AND v.message_id = OLD.id), '[]'),
                array_remove(array_prepend(OLD.file_id, ARRAY(SELECT (file ->> 'file')::uuid
                    FROM jsonb_array_elements(OLD.extras -> 'more_files') file)), NULL), OLD.attachment_name, OLD.created_at, NEW.deleted_at)
            ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER messages_held AFTER UPDATE OF deleted_at ON messages
    FOR EACH ROW WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL) EXECUTE FUNCTION keep_held_message();

-- For how many days messages are kept: those without a file, and those with one. None: for ever.
CREATE TABLE retention_rules (
    room_type  text    UNIQUE,
    -- A room's own rule takes the place of that of its type.
    room_id    uuid    UNIQUE,
    texts_days integer CHECK (texts_days > 0),
    files_days integer CHECK (files_days > 0),
    CHECK (num_nonnulls(room_type, room_id) = 1)
);

-- Up to where everything is deleted that rules didn't keep: no later round looks there again.
CREATE TABLE retention_progress (
    room_id   uuid   PRIMARY KEY,
    texts_seq bigint NOT NULL,
    files_seq bigint NOT NULL
);

-- What was asked to be exported: of a room, of a user, or everything. The archive is a file under the export's id.
CREATE TABLE exports (
    id           uuid        PRIMARY KEY,
    room_id      uuid,
    user_id      bigint,
    -- As it stood then; none for now.
    at           timestamptz,
    -- Who asked; none for the host application.
    requested_by bigint,
    created_at   timestamptz NOT NULL DEFAULT now(),
    state        text        NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'running', 'done', 'failed', 'expired')),
    -- The node that writes it, as long as it says so again before `owned_until`; and how often one has begun.
    owner        uuid,
    owned_until  timestamptz,
    attempts     integer     NOT NULL DEFAULT 0,
    finished_at  timestamptz,
    size         bigint,
    sha256       bytea,
    CHECK (num_nonnulls(room_id, user_id) <= 1)
);
CREATE INDEX exports_unfinished ON exports (created_at) WHERE state IN ('waiting', 'running');
CREATE INDEX exports_finished ON exports (finished_at) WHERE state = 'done';

-- The private key that archives are signed with, in PKCS #8; made with the first one.
ALTER TABLE installation ADD COLUMN export_key bytea;
