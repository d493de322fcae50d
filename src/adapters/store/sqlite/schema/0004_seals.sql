-- A hash of the row's contents, made when it is written: see the module `seal`. Rows from before have none.

ALTER TABLE cases ADD COLUMN seal BLOB;
ALTER TABLE steps ADD COLUMN seal BLOB;
-- Of a request that waits for its answer; an answered one is nobody's decision any more.
ALTER TABLE requests ADD COLUMN seal BLOB;
ALTER TABLE episodes ADD COLUMN seal BLOB;
