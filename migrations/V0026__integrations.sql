-- Integrations write in rooms under accounts of their own, whose ids are below 0; the host application numbers its
-- users from 1.

-- The account in whose name the host application writes. It isn't active: nobody finds it, or writes to it.
INSERT INTO people (id, username, full_name, told_by_host, is_active) VALUES (-1, 'aristay', 'AriStay', true, false);

CREATE SEQUENCE integration_ids AS bigint INCREMENT BY -1 MAXVALUE -2 START WITH -2;

-- Addresses to which other applications post.
CREATE TABLE incoming_hooks (
    id          uuid        PRIMARY KEY,
    -- The SHA-256 of the secret in the address.
    secret_hash bytea       NOT NULL UNIQUE,
    -- The account that its messages are of.
    account     bigint      NOT NULL REFERENCES people (id),
    rooms       uuid[]      NOT NULL,
    -- Who made it; none: the host application.
    owner       bigint,
    created_at  timestamptz NOT NULL DEFAULT now()
);
