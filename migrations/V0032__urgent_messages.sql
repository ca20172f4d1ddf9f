-- Urgent messages: who has acknowledged which, and of which users are told again. Nodes from before this leave the marks
-- of messages alone, and wait at the first acknowledgement until they are replaced.

-- Who has acknowledged which message. `extras` of the message has the number, and the first of them.
CREATE TABLE acknowledgements (
    room_id    uuid        NOT NULL,
    message_id uuid        NOT NULL,
    user_id    bigint      NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (room_id, message_id, user_id)
);

-- Whether an urgent message is among those of the window.
ALTER TABLE notification_windows ADD COLUMN has_urgent boolean NOT NULL DEFAULT false;

-- Urgent messages of which those are told again who haven't acknowledged them.
CREATE TABLE notification_repeats (
    room_id    uuid        NOT NULL,
    message_id uuid        NOT NULL,
    seq        bigint      NOT NULL,
    -- When they are told again.
    due_at     timestamptz NOT NULL,
    -- When that ends.
    until      timestamptz NOT NULL,
    PRIMARY KEY (room_id, message_id)
) WITH (fillfactor = 70);
CREATE INDEX notification_repeats_due ON notification_repeats (due_at);
