-- Who is mentioned by which message of whom; `extras` of the message has the same for reading. Nodes from before
-- this leave the table alone, and lose the mentions of a message that they edit or that is reacted to on them.

-- `user_id` is 0 for everyone in the room.
CREATE TABLE mentions (
    room_id    uuid   NOT NULL,
    message_id uuid   NOT NULL,
    user_id    bigint NOT NULL,
    seq        bigint NOT NULL,
    sender_id  bigint NOT NULL,
    PRIMARY KEY (room_id, message_id, user_id)
);
-- A user's mentions in a room behind a position are one range of it.
CREATE INDEX mentions_of_user ON mentions (room_id, user_id, seq) INCLUDE (sender_id);
