-- Times are RFC 3339 in UTC with nine digits of a second, so that they sort as text and a person can read them.
-- Documents are the JSON of the model's types.

CREATE TABLE cases (
    id         INTEGER PRIMARY KEY,
    node       TEXT NOT NULL,
    phase      TEXT NOT NULL,
    revision   INTEGER NOT NULL,
    -- When it first began to drain; the closed document no longer knows.
    drained_at TEXT,
    -- NULL while the case is open.
    closed_at  TEXT,
    doc        TEXT NOT NULL
) STRICT;
CREATE INDEX cases_by_closing ON cases (closed_at);

CREATE TABLE journal (
    seq     INTEGER PRIMARY KEY,
    -- No foreign key: a refusal may name a case that never was.
    case_id INTEGER,
    at      TEXT NOT NULL,
    doc     TEXT NOT NULL,
    -- SHA-256 over the hash before and this row.
    hash    BLOB NOT NULL
) STRICT;
CREATE INDEX journal_by_case ON journal (case_id, seq);
CREATE TRIGGER journal_is_not_changed BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is only ever added to'); END;
CREATE TRIGGER journal_is_not_cut BEFORE DELETE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is only ever added to'); END;

CREATE TABLE steps (
    id      TEXT PRIMARY KEY,
    case_id INTEGER NOT NULL REFERENCES cases (id),
    tries   INTEGER NOT NULL,
    at      TEXT NOT NULL,
    outcome TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX steps_by_case ON steps (case_id);

CREATE TABLE requests (
    id         TEXT PRIMARY KEY,
    at         TEXT NOT NULL,
    doc        TEXT NOT NULL,
    reply      TEXT,
    replied_at TEXT
) STRICT;
CREATE INDEX requests_by_answer ON requests (replied_at);

CREATE TABLE episodes (
    fingerprint TEXT NOT NULL,
    starts_at   TEXT NOT NULL,
    -- NULL while it fires; never set back.
    ends_at     TEXT,
    received_at TEXT NOT NULL,
    labels      TEXT NOT NULL,
    PRIMARY KEY (fingerprint, starts_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX episodes_by_end ON episodes (ends_at);

CREATE TABLE poison (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    at   TEXT NOT NULL,
    why  TEXT NOT NULL,
    -- Of the whole body; what is kept of it may be less.
    size INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

-- The built-in board: a ticket system of its own that happens to live in the same file.
CREATE TABLE work_orders (
    number    INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The step that asked for it.
    key       TEXT NOT NULL UNIQUE,
    case_id   INTEGER NOT NULL,
    at        TEXT NOT NULL,
    status    TEXT NOT NULL CHECK (status IN ('open', 'done', 'cancelled')),
    closed_at TEXT,
    doc       TEXT NOT NULL
) STRICT;
CREATE INDEX work_orders_by_case ON work_orders (case_id, number);

CREATE TABLE comments (
    -- The step that said it: saying it twice is saying it once.
    key    TEXT PRIMARY KEY,
    number INTEGER NOT NULL REFERENCES work_orders (number),
    at     TEXT NOT NULL,
    kind   TEXT NOT NULL CHECK (kind IN ('comment', 'reopen', 'close')),
    text   TEXT NOT NULL
) STRICT;
CREATE INDEX comments_by_work_order ON comments (number);

-- pause, next_case, journal_head, pruned_at. The schema's version is SQLite's own user_version.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
