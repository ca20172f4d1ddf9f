-- What staff, admins and the host application did. Nodes from before this write no entries for what is in no room's
-- log; the entries of what is in one are made from it, from its start on.

CREATE TABLE audit_log (
    -- 1, 2, 3 ...
    id       bigint      PRIMARY KEY,
    at       timestamptz NOT NULL,
    kind     text        NOT NULL,
    -- Who did it; none for the host application, and for what a node did by itself.
    actor_id bigint,
    -- Whom it is about.
    user_id  bigint,
    room_id  uuid,
    -- The event in the room's log, for what is in one.
    seq      bigint,
    -- JSON, byte for byte as it was hashed: ids, flags and reasons, never a text or a name.
    data     text        NOT NULL,
    -- The hash of the entry before, and that of this one.
    previous bytea       NOT NULL,
    hash     bytea       NOT NULL
);
CREATE UNIQUE INDEX audit_log_of_event ON audit_log (room_id, seq) WHERE seq IS NOT NULL;
CREATE INDEX audit_log_of_kind ON audit_log (kind, id);
CREATE INDEX audit_log_of_actor ON audit_log (actor_id, id) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_log_of_user ON audit_log (user_id, id) WHERE user_id IS NOT NULL;
CREATE INDEX audit_log_by_time ON audit_log (at);

-- The last entry. Whoever adds one locks it, as the last thing before the commit.
CREATE TABLE audit_head (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id       bigint  NOT NULL,
    hash     bytea   NOT NULL
);
INSERT INTO audit_head (id, hash) VALUES (0, decode(repeat('00', 32), 'hex'));

CREATE FUNCTION refuse_change_of_audit_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'entries of the audit log are neither changed nor deleted';
END $$;
CREATE TRIGGER audit_log_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit_log();

-- The few events of a room that aren't about a message, for the room as it stood.
CREATE INDEX events_of_rooms ON events (room_id, seq)
    WHERE kind IN ('room_updated', 'participant_joined', 'participant_left', 'participant_updated');
