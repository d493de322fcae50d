-- Everything of one cluster carries its name. Times are RFC 3339 in UTC with nine digits of a second, so that they sort as
-- text and a person can read them; they compare byte by byte (COLLATE "C") whatever the database's own order is. Documents
-- are the JSON of the model's types. Only the lease's `until` is the database's own time, because only its clock judges it.
-- Each statement may be run twice: some databases do not take a schema back with the transaction that made it.

CREATE TABLE IF NOT EXISTS leases (
    cluster TEXT COLLATE "C" PRIMARY KEY CHECK (cluster <> ''),
    holder  TEXT COLLATE "C" NOT NULL,
    term    BIGINT NOT NULL,
    until   TIMESTAMPTZ NOT NULL
);

-- How often a cluster was rung, ever.
CREATE TABLE IF NOT EXISTS bells (
    cluster TEXT COLLATE "C" PRIMARY KEY,
    rung    BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS cases (
    cluster    TEXT COLLATE "C" NOT NULL,
    id         BIGINT NOT NULL,
    node       TEXT COLLATE "C" NOT NULL,
    phase      TEXT COLLATE "C" NOT NULL,
    revision   BIGINT NOT NULL,
    -- When it first began to drain; the closed document no longer knows.
    drained_at TEXT COLLATE "C",
    -- NULL while the case is open.
    closed_at  TEXT COLLATE "C",
    doc        TEXT NOT NULL,
    seal       BYTEA,
    PRIMARY KEY (cluster, id)
);
CREATE INDEX IF NOT EXISTS cases_by_closing ON cases (cluster, closed_at);

CREATE TABLE IF NOT EXISTS journal (
    cluster TEXT COLLATE "C" NOT NULL,
    seq     BIGINT NOT NULL,
    -- No foreign key: a refusal may name a case that never was.
    case_id BIGINT,
    at      TEXT COLLATE "C" NOT NULL,
    doc     TEXT NOT NULL,
    -- SHA-256 over the hash before and this row.
    hash    BYTEA NOT NULL,
    PRIMARY KEY (cluster, seq)
);
CREATE INDEX IF NOT EXISTS journal_by_case ON journal (cluster, case_id, seq);

CREATE TABLE IF NOT EXISTS steps (
    cluster TEXT COLLATE "C" NOT NULL,
    id      TEXT COLLATE "C" NOT NULL,
    case_id BIGINT NOT NULL,
    tries   BIGINT NOT NULL,
    at      TEXT COLLATE "C" NOT NULL,
    outcome TEXT NOT NULL,
    seal    BYTEA,
    PRIMARY KEY (cluster, id),
    FOREIGN KEY (cluster, case_id) REFERENCES cases (cluster, id)
);
CREATE INDEX IF NOT EXISTS steps_by_case ON steps (cluster, case_id);

CREATE TABLE IF NOT EXISTS requests (
    cluster    TEXT COLLATE "C" NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    at         TEXT COLLATE "C" NOT NULL,
    doc        TEXT NOT NULL,
    reply      TEXT,
    replied_at TEXT COLLATE "C",
    seal       BYTEA,
    PRIMARY KEY (cluster, id)
);
CREATE INDEX IF NOT EXISTS requests_by_answer ON requests (cluster, replied_at);

CREATE TABLE IF NOT EXISTS episodes (
    cluster     TEXT COLLATE "C" NOT NULL,
    fingerprint TEXT COLLATE "C" NOT NULL,
    starts_at   TEXT COLLATE "C" NOT NULL,
    -- NULL while it fires.
    ends_at     TEXT COLLATE "C",
    received_at TEXT COLLATE "C" NOT NULL,
    labels      TEXT NOT NULL,
    seal        BYTEA,
    PRIMARY KEY (cluster, fingerprint, starts_at)
);
CREATE INDEX IF NOT EXISTS episodes_by_end ON episodes (cluster, ends_at);

CREATE TABLE IF NOT EXISTS poison (
    cluster TEXT COLLATE "C" NOT NULL,
    id      BIGINT NOT NULL,
    at      TEXT COLLATE "C" NOT NULL,
    why     TEXT NOT NULL,
    -- Of the whole body; what is kept of it may be less.
    size    BIGINT NOT NULL,
    body    BYTEA NOT NULL,
    PRIMARY KEY (cluster, id)
);

-- The built-in board: a ticket system of its own that happens to live in the same database.
CREATE TABLE IF NOT EXISTS work_orders (
    cluster   TEXT COLLATE "C" NOT NULL,
    number    BIGINT NOT NULL,
    -- The step that asked for it.
    key       TEXT COLLATE "C" NOT NULL,
    case_id   BIGINT NOT NULL,
    at        TEXT COLLATE "C" NOT NULL,
    status    TEXT COLLATE "C" NOT NULL CHECK (status IN ('open', 'done', 'cancelled')),
    closed_at TEXT COLLATE "C",
    doc       TEXT NOT NULL,
    PRIMARY KEY (cluster, number),
    UNIQUE (cluster, key)
);
CREATE INDEX IF NOT EXISTS work_orders_by_case ON work_orders (cluster, case_id, number);

CREATE TABLE IF NOT EXISTS comments (
    cluster TEXT COLLATE "C" NOT NULL,
    -- The step that said it: saying it twice is saying it once.
    key     TEXT COLLATE "C" NOT NULL,
    number  BIGINT NOT NULL,
    -- The order in which they were said.
    place   BIGINT NOT NULL,
    at      TEXT COLLATE "C" NOT NULL,
    kind    TEXT COLLATE "C" NOT NULL CHECK (kind IN ('comment', 'reopen', 'close')),
    text    TEXT NOT NULL,
    PRIMARY KEY (cluster, key),
    UNIQUE (cluster, number, place),
    FOREIGN KEY (cluster, number) REFERENCES work_orders (cluster, number)
);

-- What people are told: written with the decision, delivered afterwards.
CREATE TABLE IF NOT EXISTS notices (
    cluster TEXT COLLATE "C" NOT NULL,
    id      TEXT COLLATE "C" NOT NULL,
    -- The order in which they were written is the order in which they are sent.
    seq     BIGINT NOT NULL,
    case_id BIGINT,
    at      TEXT COLLATE "C" NOT NULL,
    doc     TEXT NOT NULL,
    PRIMARY KEY (cluster, id),
    UNIQUE (cluster, seq)
);
CREATE INDEX IF NOT EXISTS notices_by_case ON notices (cluster, case_id);
CREATE INDEX IF NOT EXISTS notices_by_time ON notices (cluster, at);

CREATE TABLE IF NOT EXISTS deliveries (
    cluster TEXT COLLATE "C" NOT NULL,
    notice  TEXT COLLATE "C" NOT NULL,
    channel TEXT COLLATE "C" NOT NULL,
    tries   BIGINT NOT NULL,
    -- Of the last try; of the notice before the first one.
    at      TEXT COLLATE "C" NOT NULL,
    outcome TEXT NOT NULL,
    done    BOOLEAN NOT NULL,
    PRIMARY KEY (cluster, notice, channel),
    FOREIGN KEY (cluster, notice) REFERENCES notices (cluster, id)
);
CREATE INDEX IF NOT EXISTS deliveries_owed ON deliveries (cluster, done, notice);

-- How fast guests moved: one row a migration. The newest 500.
CREATE TABLE IF NOT EXISTS measured (
    cluster TEXT COLLATE "C" NOT NULL,
    task    TEXT COLLATE "C" NOT NULL,
    ended   TEXT COLLATE "C" NOT NULL,
    doc     TEXT NOT NULL,
    PRIMARY KEY (cluster, task)
);
CREATE INDEX IF NOT EXISTS measured_by_end ON measured (cluster, ended);

-- pause, next_case, journal_head, pruned_at, and a seal over all of them.
CREATE TABLE IF NOT EXISTS meta (
    cluster TEXT COLLATE "C" NOT NULL,
    key     TEXT COLLATE "C" NOT NULL,
    value   TEXT NOT NULL,
    PRIMARY KEY (cluster, key)
);

-- Budgets that count over several clusters. The first table is what claims of one budget wait for each other at.
CREATE TABLE IF NOT EXISTS budgets (
    budget TEXT COLLATE "C" PRIMARY KEY
);
CREATE TABLE IF NOT EXISTS places (
    budget  TEXT COLLATE "C" NOT NULL,
    cluster TEXT COLLATE "C" NOT NULL,
    node    TEXT COLLATE "C" NOT NULL,
    case_id BIGINT,
    since   TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (budget, cluster, node)
);
