-- Invitations into rooms. Whoever has the token may come in, as often and as long as the row says; the token itself
-- is stored nowhere.

CREATE TABLE invitations (
    room_id    uuid        NOT NULL,
    id         uuid        NOT NULL,
    token_hash text        NOT NULL,
    role       text        NOT NULL,
    -- When the memberships end that it gives; the end of the year 9999 stands for never.
    until      timestamptz NOT NULL,
    -- How many users it lets in, and how many it has let in.
    uses       bigint      NOT NULL,
    used       bigint      NOT NULL,
    -- 0 where the host application made it.
    created_by bigint      NOT NULL,
    created_at timestamptz NOT NULL,
    -- Until when it can be used.
    expires_at timestamptz NOT NULL,
    -- 1 if it was taken back.
    withdrawn  bigint      NOT NULL,
    PRIMARY KEY (room_id, id)
);
CREATE UNIQUE INDEX invitations_by_id ON invitations (id);
CREATE UNIQUE INDEX invitations_by_token ON invitations (token_hash);
