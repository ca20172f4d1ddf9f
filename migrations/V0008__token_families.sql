-- What refresh tokens of accounts that sign in here are good now.

-- One sign-in, and the refresh tokens that came of it one after the other. A family that has ended has no row.
CREATE TABLE token_families (
    id         uuid        PRIMARY KEY,
    user_id    bigint      NOT NULL REFERENCES accounts (user_id) ON DELETE CASCADE,
    -- The `jti` of the one refresh token that is good.
    current    uuid        NOT NULL,
    -- The one before it, and when it gave way.
    previous   uuid,
    used_at    timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX token_families_of_user ON token_families (user_id, used_at);
CREATE INDEX token_families_ended ON token_families (expires_at);
-- Refresh tokens from before this name no family, and are honoured while they last.
ALTER TABLE installation ADD COLUMN families_since timestamptz NOT NULL DEFAULT now();
