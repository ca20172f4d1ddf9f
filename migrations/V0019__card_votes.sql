-- Who voted for which choice of a poll. The card itself, with the sums of its votes, is in the message's `extras`.

CREATE TABLE card_votes (
    room_id    uuid        NOT NULL,
    message_id uuid        NOT NULL,
    user_id    bigint      NOT NULL,
    choice     text        NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (room_id, message_id, user_id, choice)
);
