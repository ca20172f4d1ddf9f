-- Notifications: whom to tell of what, and what was told. Nodes from before this tell nobody.

-- Rooms with messages of which someone may have to be told. A message only extends its room's window; who is told is
-- decided once for all of them when the window is due.
CREATE TABLE notification_windows (
    room_id   uuid        PRIMARY KEY,
    first_seq bigint      NOT NULL,
    last_seq  bigint      NOT NULL,
    due_at    timestamptz NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX notification_windows_due ON notification_windows (due_at);

-- What a user was told of a room. It has no text: that is read with the message, as long as it may be read.
CREATE TABLE notifications (
    id         uuid        PRIMARY KEY,
    user_id    bigint      NOT NULL,
    room_id    uuid        NOT NULL,
    -- The user was told of what is between these positions.
    first_seq  bigint      NOT NULL,
    last_seq   bigint      NOT NULL,
    -- The message that it shows.
    message_id uuid        NOT NULL,
    -- Why the user was told; TellingRule in `actors/src/domain/notifications/rules.rs`.
    rule       text        NOT NULL,
    -- told; read by its user; gone, because there is nothing to tell any more.
    state      text        NOT NULL,
    created_at timestamptz NOT NULL,
    -- When its user was told last.
    told_at    timestamptz NOT NULL,
    ended_at   timestamptz
);
-- What is new in a room changes the notification that its user hasn't read.
CREATE UNIQUE INDEX notifications_told ON notifications (room_id, user_id) WHERE state = 'told';
CREATE INDEX notifications_of_user ON notifications (user_id, told_at, id);
-- How far a user was told of a room.
CREATE INDEX notifications_ranges ON notifications (user_id, room_id, last_seq);
CREATE INDEX notifications_age ON notifications (told_at);

-- Whoever tells or withdraws locks this row, so that no reading is passed by.
CREATE TABLE notification_progress (
    only_row boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    -- The read marks whose moves this snapshot sees have withdrawn what they had to.
    position pg_snapshot NOT NULL
);
INSERT INTO notification_progress (position) VALUES (pg_current_snapshot());

-- What is not as it is by default.
CREATE TABLE notification_settings (
    user_id             bigint  PRIMARY KEY,
    quiet_from          time,
    quiet_to            time,
    -- One bit for each day on which quiet hours begin, Monday's first.
    quiet_days          integer,
    timezone            text,
    delay_seconds       integer NOT NULL,
    keywords            text[]  NOT NULL,
    email_after_minutes integer,
    hide_text           boolean NOT NULL,
    CHECK ((quiet_from IS NULL) = (quiet_to IS NULL)),
    CHECK ((quiet_from IS NULL) = (quiet_days IS NULL)),
    CHECK ((quiet_from IS NULL) = (timezone IS NULL))
);

-- Nobody is told of what was sent before.
INSERT INTO log_consumers (name, position) VALUES ('notifications', pg_snapshot_xmin(pg_current_snapshot()));
