-- Reports of messages and users, for moderators to deal with.

CREATE TABLE reports (
    id          uuid        PRIMARY KEY,
    reporter_id bigint      NOT NULL,
    -- The message; NULL for a report of a user alone.
    message_id  uuid,
    room_id     uuid,
    -- Whom it is about: the author of the message.
    user_id     bigint      NOT NULL,
    -- The text and the file's name at the time of the report, whatever became of the message since.
    content     text        NOT NULL DEFAULT '',
    reason      text        NOT NULL,
    note        text        NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT now(),
    state       text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'resolved', 'dismissed')),
    -- What a moderator noted, who that was (NULL: the host application), and when it last changed.
    moderator_note text     NOT NULL DEFAULT '',
    moderator_id   bigint,
    handled_at     timestamptz
);
-- The same again is the same report.
CREATE UNIQUE INDEX reports_of_message ON reports (reporter_id, message_id) WHERE message_id IS NOT NULL;
CREATE UNIQUE INDEX reports_of_user ON reports (reporter_id, user_id) WHERE message_id IS NULL AND state = 'open';
-- Lists: of a reporter, of moderators, and of moderators by state.
CREATE INDEX reports_by_reporter ON reports (reporter_id, created_at DESC, id DESC);
CREATE INDEX reports_by_time ON reports (created_at DESC, id DESC);
CREATE INDEX reports_by_state ON reports (state, created_at DESC, id DESC);
-- For erasing whom they are about.
CREATE INDEX reports_about_user ON reports (user_id);
