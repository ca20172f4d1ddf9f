-- Who has blocked whom. Nodes from before this let messages between them through until they are replaced.

CREATE TABLE blocks (
    user_id    bigint      NOT NULL,
    blocked_id bigint      NOT NULL CHECK (blocked_id <> user_id),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, blocked_id)
);
CREATE INDEX blocks_of_blocked ON blocks (blocked_id);
CREATE INDEX blocks_by_time ON blocks (user_id, created_at DESC, blocked_id);

-- Whether one of a direct room's two users has blocked the other, so that who locks the room knows.
ALTER TABLE rooms ADD COLUMN is_blocked boolean NOT NULL DEFAULT false;
