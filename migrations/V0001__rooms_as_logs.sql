-- Rooms as logs. `events` is the truth: one ordered log for each room. `rooms`, `participants` and
-- `messages` are projections, written in the same transaction. Every key of a room's data begins with
-- `room_id`, so that the tables can be partitioned by it.

CREATE EXTENSION IF NOT EXISTS unaccent;
CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- Words as they are, without accents: people write in many languages, so nothing is stemmed.
CREATE TEXT SEARCH CONFIGURATION chat (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION chat
    ALTER MAPPING FOR hword, hword_part, word WITH unaccent, simple;

-- This installation: which history it holds, and the key that its nodes sign envelopes with.
CREATE TABLE installation (
    only_row          boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch             uuid    NOT NULL,
    system_identifier text    NOT NULL,
    timeline          integer NOT NULL,
    link_key          bytea   NOT NULL
);

CREATE TABLE people (
    id                bigint      PRIMARY KEY,
    username          text        NOT NULL,
    full_name         text        NOT NULL DEFAULT '',
    email             text        NOT NULL DEFAULT '',
    is_active         boolean     NOT NULL DEFAULT true,
    is_staff          boolean     NOT NULL DEFAULT false,
    -- Tokens issued before this second (Unix time) are void.
    tokens_valid_from bigint,
    -- Whether the host application has told of this person; then a token's claims change nothing.
    told_by_host      boolean     NOT NULL DEFAULT false,
    erased_at         timestamptz,
    last_seen_at      timestamptz,
    created_at        timestamptz NOT NULL DEFAULT now(),
    -- The transaction that last changed the right to be here.
    changed_xid       xid8        NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX people_changed ON people (changed_xid);
CREATE INDEX people_names ON people USING gin ((username || ' ' || full_name) gin_trgm_ops) WHERE is_active;

-- Built-in accounts: those that sign in here and not at the host application.
CREATE TABLE accounts (
    username      text   PRIMARY KEY,
    user_id       bigint NOT NULL UNIQUE REFERENCES people (id),
    password_hash text   NOT NULL
);

CREATE TABLE rooms (
    id               uuid        PRIMARY KEY,
    room_type        text        NOT NULL CHECK (room_type IN ('direct', 'group', 'task', 'property')),
    name             text        NOT NULL DEFAULT '',
    title            text        NOT NULL DEFAULT '',
    task             bigint,
    property         bigint,
    -- The two people of a direct room.
    pair_low         bigint,
    pair_high        bigint,
    created_by       bigint,
    created_at       timestamptz NOT NULL,
    modified_at      timestamptz NOT NULL,
    archived_at      timestamptz,
    deleted_at       timestamptz,
    -- The position of the last event.
    head             bigint      NOT NULL,
    -- The newest message that is not deleted.
    last_message_id  uuid,
    last_message_seq bigint,
    last_message_at  timestamptz,
    CHECK ((room_type = 'task') = (task IS NOT NULL)),
    CHECK ((room_type = 'property') = (property IS NOT NULL)),
    CHECK ((room_type = 'direct') = (pair_low IS NOT NULL AND pair_high IS NOT NULL AND pair_low < pair_high))
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX rooms_one_a_task ON rooms (task) WHERE task IS NOT NULL AND deleted_at IS NULL;
CREATE UNIQUE INDEX rooms_one_a_property ON rooms (property) WHERE property IS NOT NULL AND deleted_at IS NULL;
CREATE UNIQUE INDEX rooms_one_a_pair ON rooms (pair_low, pair_high) WHERE pair_low IS NOT NULL AND deleted_at IS NULL;

-- `data` holds ids and flags, never a text or a name.
CREATE TABLE events (
    room_id    uuid        NOT NULL,
    seq        bigint      NOT NULL,
    kind       text        NOT NULL,
    actor      bigint,
    message_id uuid,
    at         timestamptz NOT NULL,
    data       jsonb,
    xid        xid8        NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (room_id, seq)
);
-- The feed of all commits: read from the last reader's snapshot on, it misses nothing that commits late.
CREATE INDEX events_feed ON events (xid);

CREATE TABLE files (
    id           uuid        PRIMARY KEY,
    uploaded_by  bigint      NOT NULL,
    name         text        NOT NULL,
    size         bigint      NOT NULL,
    content_type text        NOT NULL,
    is_image     boolean     NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    -- The message that carries it; none while its sending is under way.
    room_id      uuid,
    message_id   uuid
);
CREATE INDEX files_unsent ON files (created_at) WHERE message_id IS NULL;

CREATE TABLE messages (
    room_id         uuid        NOT NULL,
    id              uuid        NOT NULL,
    seq             bigint      NOT NULL,
    -- The position of its last change.
    rev             bigint      NOT NULL,
    sender_id       bigint      NOT NULL,
    client_id       uuid,
    -- What the client sent at first, to tell a retry from another message.
    client_digest   bytea,
    message_type    text        NOT NULL CHECK (message_type IN ('text', 'image', 'file', 'system')),
    content         text        NOT NULL,
    file_id         uuid        REFERENCES files (id),
    attachment_name text,
    attachment_size bigint,
    reply_to        uuid,
    created_at      timestamptz NOT NULL,
    modified_at     timestamptz NOT NULL,
    edited_at       timestamptz,
    deleted_at      timestamptz,
    words           tsvector    GENERATED ALWAYS AS (to_tsvector('chat', content)) STORED,
    PRIMARY KEY (room_id, id),
    FOREIGN KEY (room_id, reply_to) REFERENCES messages (room_id, id)
);
CREATE UNIQUE INDEX messages_in_order ON messages (room_id, seq) INCLUDE (sender_id, deleted_at);
CREATE UNIQUE INDEX messages_sent_once ON messages (room_id, sender_id, client_id) WHERE client_id IS NOT NULL;
CREATE INDEX messages_by_id ON messages (id);
CREATE INDEX messages_of_file ON messages (file_id) WHERE file_id IS NOT NULL;
CREATE INDEX messages_of_sender ON messages (room_id, sender_id, seq) WHERE deleted_at IS NULL;
CREATE INDEX messages_words ON messages USING gin (words) WHERE deleted_at IS NULL;
CREATE INDEX messages_parts ON messages USING gin (content gin_trgm_ops) WHERE deleted_at IS NULL;

-- Earlier texts of edited messages; a deletion takes them away.
CREATE TABLE message_versions (
    room_id    uuid        NOT NULL,
    message_id uuid        NOT NULL,
    rev        bigint      NOT NULL,
    content    text        NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (room_id, message_id, rev)
);

CREATE TABLE participants (
    id               bigint      GENERATED BY DEFAULT AS IDENTITY UNIQUE,
    room_id          uuid        NOT NULL REFERENCES rooms (id),
    user_id          bigint      NOT NULL REFERENCES people (id),
    role             text        NOT NULL CHECK (role IN ('admin', 'member')),
    joined_at        timestamptz NOT NULL,
    joined_seq       bigint      NOT NULL,
    visible_from_seq bigint      NOT NULL DEFAULT 0,
    left_at          timestamptz,
    -- All up to here is read.
    read_seq         bigint      NOT NULL DEFAULT 0,
    read_at          timestamptz,
    is_muted         boolean     NOT NULL DEFAULT false,
    muted_until      timestamptz,
    PRIMARY KEY (room_id, user_id)
) WITH (fillfactor = 80);
CREATE INDEX participants_of_user ON participants (user_id) WHERE left_at IS NULL;

-- Each forward move of a read mark: who had read what when.
CREATE TABLE read_moves (
    room_id uuid        NOT NULL,
    user_id bigint      NOT NULL,
    seq     bigint      NOT NULL,
    at      timestamptz NOT NULL,
    xid     xid8        NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (room_id, user_id, seq)
);
CREATE INDEX read_moves_feed ON read_moves (xid);

-- Files whose message is gone: to be taken out of the storage, however often that is interrupted.
CREATE TABLE files_to_erase (
    id    uuid        PRIMARY KEY,
    since timestamptz NOT NULL DEFAULT now()
);
