-- Alerts are kept in the order in which they arrive, so that a storm of them is written at the end of the table and not all
-- over it. Only their keys are sorted, and the ends of those that ended.

ALTER TABLE episodes RENAME TO sorted_episodes;
CREATE TABLE episodes (
    fingerprint TEXT NOT NULL,
    starts_at   TEXT NOT NULL,
    -- NULL while it fires; never set back by a delivery.
    ends_at     TEXT,
    received_at TEXT NOT NULL,
    labels      TEXT NOT NULL,
    seal        BLOB
) STRICT;
INSERT INTO episodes (fingerprint, starts_at, ends_at, received_at, labels, seal)
    SELECT fingerprint, starts_at, ends_at, received_at, labels, seal FROM sorted_episodes ORDER BY received_at;
DROP TABLE sorted_episodes;
CREATE UNIQUE INDEX episodes_by_key ON episodes (fingerprint, starts_at);
CREATE INDEX episodes_by_end ON episodes (ends_at) WHERE ends_at IS NOT NULL;
