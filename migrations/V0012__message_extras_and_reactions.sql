-- What messages carry beside their text and their file, and reactions as the first of it. Nodes from before
-- this leave both alone, and wait at the first event of a kind that they don't know until they are replaced.

-- None where a message carries nothing more.
ALTER TABLE messages ADD COLUMN extras jsonb;

-- Who reacted to which message with what. `extras` has the sums.
CREATE TABLE reactions (
    room_id    uuid        NOT NULL,
    message_id uuid        NOT NULL,
    user_id    bigint      NOT NULL,
    emoji      text        NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (room_id, message_id, user_id, emoji)
);
