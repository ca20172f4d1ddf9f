-- What pages say of themselves to whoever shows a link to them, each asked once for all users.

CREATE TABLE link_previews (
    -- SHA-256 of the address.
    url_hash    bytea       PRIMARY KEY CHECK (length(url_hash) = 32),
    -- Until then a node is asking for it.
    asked_until timestamptz NOT NULL,
    -- From then on it is asked for again.
    expires_at  timestamptz NOT NULL,
    -- All NULL: there is no preview.
    title       text        CHECK (length(title) <= 200),
    description text        CHECK (length(description) <= 400),
    site_name   text        CHECK (length(site_name) <= 100),
    -- A small JPEG.
    picture     bytea       CHECK (length(picture) <= 65536)
);
CREATE INDEX link_previews_expiry ON link_previews (expires_at);
