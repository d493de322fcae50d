-- How fast guests moved: one row a migration, read from its task's log. The newest 500.

CREATE TABLE measured (
    task  TEXT PRIMARY KEY,
    ended TEXT NOT NULL,
    doc   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX measured_by_end ON measured (ended);
