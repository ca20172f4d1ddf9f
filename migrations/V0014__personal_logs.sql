-- What only one user sees. Each change of it is an entry of that user's personal log, by which all devices of the
-- user come to the same, after any absence.

-- How far each log reaches. Its row is locked by whoever appends, so that positions are dense and in commit order.
CREATE TABLE personal_heads (
    user_id bigint PRIMARY KEY,
    -- The position of the last entry.
    head    bigint NOT NULL,
    -- Entries up to here may be gone.
    pruned  bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70);

CREATE TABLE personal_log (
    user_id  bigint      NOT NULL,
    position bigint      NOT NULL,
    -- What changed, and its id; how it is now is in the table of its kind.
    kind     text        NOT NULL,
    id       uuid        NOT NULL,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    xid      xid8        NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (user_id, position)
);
-- Whether an entry is the last one about its subject.
CREATE INDEX personal_log_subjects ON personal_log (user_id, kind, id, position);
CREATE INDEX personal_log_feed ON personal_log (xid);
CREATE INDEX personal_log_age ON personal_log (at);

-- Texts that are not sent yet. One that is ended has no row.
CREATE TABLE drafts (
    user_id    bigint      NOT NULL,
    room_id    uuid        NOT NULL,
    content    text        NOT NULL,
    reply_to   uuid,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, room_id)
);

-- Messages that a user has put aside.
CREATE TABLE saved_messages (
    user_id    bigint      NOT NULL,
    message_id uuid        NOT NULL,
    room_id    uuid        NOT NULL,
    saved_at   timestamptz NOT NULL,
    PRIMARY KEY (user_id, message_id)
);

-- Messages of which a user wants to be reminded.
CREATE TABLE reminders (
    id         uuid        PRIMARY KEY,
    user_id    bigint      NOT NULL,
    room_id    uuid        NOT NULL,
    message_id uuid        NOT NULL,
    at         timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    -- When the user was told; none before that.
    fired_at   timestamptz
);
CREATE INDEX reminders_of_user ON reminders (user_id, at);
CREATE INDEX reminders_due ON reminders (at) WHERE fired_at IS NULL;

-- Messages to be sent later.
CREATE TABLE scheduled_messages (
    id          uuid        PRIMARY KEY,
    user_id     bigint      NOT NULL,
    room_id     uuid        NOT NULL,
    -- What it is sent under, so that it is sent once however often that is tried.
    client_id   uuid        NOT NULL,
    -- What the client asked for at first, to tell a retry from another message.
    digest      bytea       NOT NULL,
    content     text        NOT NULL,
    reply_to    uuid,
    at          timestamptz NOT NULL,
    created_at  timestamptz NOT NULL,
    -- pending, sending, sent or failed.
    state       text        NOT NULL,
    -- When it is to be sent; while it is being sent, when the claim of the node that does so lapses.
    due_at      timestamptz NOT NULL,
    claim       uuid,
    -- The code of the error of one that failed, and the message that one became which was sent.
    error       text,
    message_id  uuid,
    finished_at timestamptz
);
CREATE UNIQUE INDEX scheduled_messages_once ON scheduled_messages (user_id, room_id, client_id);
CREATE INDEX scheduled_messages_due ON scheduled_messages (due_at) WHERE state IN ('pending', 'sending');
CREATE INDEX scheduled_messages_sent ON scheduled_messages (finished_at) WHERE state = 'sent';

-- What a participant wants to be told of the room, and from which message on the room counts as unread again. Last, as
-- it keeps everyone out of the table.
ALTER TABLE participants
    ADD COLUMN level        text    NOT NULL DEFAULT 'all',
    ADD COLUMN is_favourite boolean NOT NULL DEFAULT false,
    ADD COLUMN unread_from  bigint;
