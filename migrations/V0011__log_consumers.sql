-- Consumers of the log. Each follows the logs of all rooms from a position of its own.

CREATE TABLE log_consumers (
    name         text        PRIMARY KEY,
    -- Everything that committed before this transaction is consumed.
    position     xid8        NOT NULL,
    -- The one node that consumes, as long as it says so again before `owned_until`.
    owner        uuid,
    owned_until  timestamptz,
    -- Why the consumer stopped, and the position after what it stopped at; none while it goes on.
    failure      text,
    failed_until xid8,
    CHECK ((failure IS NULL) = (failed_until IS NULL))
);

-- The search index was the first. Nodes of an earlier version lock and move its position through the view.
INSERT INTO log_consumers (name, position) SELECT 'search', position FROM texts_progress;
DROP TABLE texts_progress;
CREATE VIEW texts_progress AS SELECT position FROM log_consumers WHERE name = 'search';
