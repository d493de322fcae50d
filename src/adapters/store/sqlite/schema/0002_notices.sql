-- What people are told: written with the decision, delivered afterwards.

CREATE TABLE notices (
    -- The order in which they were written is the order in which they are sent.
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    id      TEXT NOT NULL UNIQUE,
    case_id INTEGER,
    at      TEXT NOT NULL,
    doc     TEXT NOT NULL
) STRICT;
CREATE INDEX notices_by_case ON notices (case_id);
CREATE INDEX notices_by_time ON notices (at);

CREATE TABLE deliveries (
    notice  TEXT NOT NULL REFERENCES notices (id),
    channel TEXT NOT NULL,
    tries   INTEGER NOT NULL,
    -- Of the last try; of the notice before the first one.
    at      TEXT NOT NULL,
    outcome TEXT NOT NULL,
    done    INTEGER NOT NULL CHECK (done IN (0, 1)),
    PRIMARY KEY (notice, channel)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_owed ON deliveries (notice) WHERE done = 0;
