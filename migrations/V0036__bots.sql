-- Bots take part in rooms as people do, under accounts whose ids are far below those of integrations: an id alone says
-- what it is of.

CREATE SEQUENCE bot_ids AS bigint INCREMENT BY -1 MAXVALUE -1000000000 START WITH -1000000000;

CREATE TABLE bots (
    user_id         bigint      PRIMARY KEY REFERENCES people (id),
    -- The SHA-256 of its token; none once the bot has ended.
    token_hash      bytea       UNIQUE,
    -- Unix time in seconds, one more with each token, so that what the one before has opened is told apart.
    token_issued_at bigint      NOT NULL,
    -- Who made it; none: the host application.
    owner           bigint,
    created_at      timestamptz NOT NULL DEFAULT now()
);

-- What users of a bot's rooms can have it do.
CREATE TABLE bot_commands (
    bot_id      bigint NOT NULL REFERENCES bots (user_id),
    name        text   NOT NULL,
    description text   NOT NULL,
    -- What stands behind the name.
    hint        text   NOT NULL,
    PRIMARY KEY (bot_id, name)
);

-- What users' clients called their presses of a card's buttons. The presses themselves are in the log.
CREATE TABLE card_presses (
    room_id    uuid        NOT NULL,
    message_id uuid        NOT NULL,
    user_id    bigint      NOT NULL,
    client_id  uuid        NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (room_id, message_id, user_id, client_id)
);
