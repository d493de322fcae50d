-- Old entries of the journal may be let go: from its beginning on, up to the one that `meta` names as the last of them. What
-- follows still hangs on that one's hash, so the chain can be walked as before.

DROP TRIGGER journal_is_not_cut;
CREATE TRIGGER journal_is_not_cut BEFORE DELETE ON journal
WHEN old.seq > coalesce((SELECT json_extract(value, '$.seq') FROM meta WHERE key = 'journal_begin'), 0)
BEGIN SELECT RAISE(ABORT, 'the journal is only ever added to'); END;
