-- Web Push: the key of this installation, where browsers wait for pushes, and what is to be sent to them.

-- The private key that pushes are signed with (RFC 8292), in PKCS #8; made at the first start. Another key would make
-- every subscription void.
ALTER TABLE installation ADD COLUMN vapid_key bytea;

CREATE TABLE push_subscriptions (
    id         uuid        PRIMARY KEY,
    user_id    bigint      NOT NULL,
    endpoint   text        NOT NULL UNIQUE,
    -- Whose service it is: the scheme, the host and the port of the endpoint.
    origin     text        NOT NULL,
    -- The browser's public key and its secret (RFC 8291).
    p256dh     bytea       NOT NULL,
    auth       bytea       NOT NULL,
    -- The sign-in that it ends with; none where the host application signs users in.
    family_id  uuid,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX push_subscriptions_of_user ON push_subscriptions (user_id, created_at);

-- What a subscription is sent of a room: only the newest, which takes the place of what the browser shows of the room.
CREATE TABLE push_deliveries (
    subscription_id uuid        NOT NULL,
    room_id         uuid        NOT NULL,
    notification_id uuid        NOT NULL,
    -- Whether it takes the notification back.
    is_withdrawal   boolean     NOT NULL DEFAULT false,
    -- Whether the browser may show a notification of the room.
    is_shown        boolean     NOT NULL DEFAULT false,
    -- pending, sending, sent or failed.
    state           text        NOT NULL DEFAULT 'pending',
    -- When it is to be sent; while it is being sent, when the claim of the node that does so lapses.
    due_at          timestamptz NOT NULL,
    claim           uuid,
    attempts        integer     NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL,
    finished_at     timestamptz,
    PRIMARY KEY (subscription_id, room_id)
) WITH (fillfactor = 70);
CREATE INDEX push_deliveries_due ON push_deliveries (due_at) WHERE state IN ('pending', 'sending');
CREATE INDEX push_deliveries_of_notification ON push_deliveries (notification_id);
CREATE INDEX push_deliveries_age ON push_deliveries (created_at);
