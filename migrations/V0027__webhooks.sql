-- Webhooks. Each has a position in the log of every room that it follows: what is to be sent stands in the log alone.

CREATE TABLE webhooks (
    id              uuid        PRIMARY KEY,
    url             text        NOT NULL,
    -- Which events, by kind, room and type of room; an empty list leaves nothing out.
    kinds           text[]      NOT NULL,
    rooms           uuid[]      NOT NULL,
    room_types      text[]      NOT NULL,
    -- Signs the requests; for a while after it was replaced, so does the one before.
    secret          bytea       NOT NULL,
    previous_secret bytea,
    previous_until  timestamptz,
    -- Who made or changed it last, and has to be allowed to read what it is sent; none: the host application.
    owner           bigint,
    created_at      timestamptz NOT NULL DEFAULT now(),
    -- Events that had committed then are sent only where that is asked for.
    created_in      pg_snapshot NOT NULL DEFAULT pg_current_snapshot(),
    -- active, paused or ended, and why it isn't active.
    state           text        NOT NULL DEFAULT 'active',
    reason          text        NOT NULL DEFAULT '',
    -- Since when a request has failed and none has succeeded.
    failing_since   timestamptz,
    succeeded_at    timestamptz
);

-- What a webhook is to be sent of one room. It outlives its webhook, without effect, if it was written just then.
CREATE TABLE webhook_lanes (
    webhook_id    uuid        NOT NULL,
    room_id       uuid        NOT NULL,
    -- Everything up to here is sent or needn't be, and there is something up to there.
    sent          bigint      NOT NULL,
    head          bigint      NOT NULL,
    -- When the next event is to be sent; while a node sends it, when its claim lapses; none where nothing waits.
    due_at        timestamptz,
    claim         uuid,
    -- How often, and since when, the next event was tried in vain.
    attempts      integer     NOT NULL DEFAULT 0,
    failing_since timestamptz,
    PRIMARY KEY (webhook_id, room_id)
);
CREATE INDEX webhook_lanes_due ON webhook_lanes (webhook_id, due_at) WHERE due_at IS NOT NULL;

-- What became of each event that was sent, with the last answer. For some days.
CREATE TABLE webhook_deliveries (
    webhook_id  uuid        NOT NULL,
    room_id     uuid        NOT NULL,
    seq         bigint      NOT NULL,
    kind        text        NOT NULL,
    message_id  uuid,
    url         text        NOT NULL,
    -- delivered, retrying or given_up.
    state       text        NOT NULL,
    attempts    integer     NOT NULL DEFAULT 1,
    first_at    timestamptz NOT NULL DEFAULT now(),
    last_at     timestamptz NOT NULL DEFAULT now(),
    duration_ms integer     NOT NULL,
    status      integer,
    -- The start of the answer's body, which may repeat what was sent: it goes when the message is deleted.
    answer      text        NOT NULL,
    error       text        NOT NULL,
    PRIMARY KEY (webhook_id, room_id, seq)
);
CREATE INDEX webhook_deliveries_newest ON webhook_deliveries (webhook_id, last_at DESC, room_id, seq);
CREATE INDEX webhook_deliveries_age ON webhook_deliveries (last_at);
CREATE INDEX webhook_deliveries_answers ON webhook_deliveries (room_id, message_id) WHERE answer <> '';

-- What happened before there were webhooks needn't be looked at.
INSERT INTO log_consumers (name, position) VALUES ('webhooks', pg_snapshot_xmin(pg_current_snapshot()));
