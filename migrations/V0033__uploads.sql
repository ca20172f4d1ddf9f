-- Uploads that can be resumed, and several files in one message. A message's first file stands where its only one did;
-- the others are in its `extras`, and `files` names the message with which each came. Nodes from before this show the
-- first one, and would forget the others of a message that they change, so they are replaced before anything is uploaded.

-- The size of a picture as it is shown, where it is known, and whether it is served in smaller sizes too.
ALTER TABLE files ADD COLUMN width integer;
ALTER TABLE files ADD COLUMN height integer;
ALTER TABLE files ADD COLUMN has_previews boolean NOT NULL DEFAULT false;

-- Uploads that no message carries yet: a message takes the row away.
CREATE TABLE uploads (
    id         uuid        PRIMARY KEY,
    user_id    bigint      NOT NULL,
    length     bigint      NOT NULL CHECK (length > 0),
    -- The bytes that are in the storage, in these pieces, in this order.
    received   bigint      NOT NULL DEFAULT 0 CHECK (received BETWEEN 0 AND length),
    pieces     uuid[]      NOT NULL DEFAULT '{}',
    name       text        NOT NULL,
    -- What the client said of it, to be repeated to the client.
    metadata   text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    -- The file that it became, or why it became none; neither until it is complete and was looked at.
    file_id    uuid,
    refusal    text
);
CREATE INDEX uploads_of_user ON uploads (user_id) INCLUDE (length);
CREATE INDEX uploads_expiry ON uploads (expires_at);
