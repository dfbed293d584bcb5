-- What each witness last told us.
CREATE TABLE witness (
    key TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    size BIGINT NOT NULL,
    problem TEXT COLLATE "C",
    at BIGINT NOT NULL
);
COMMENT ON COLUMN witness.key IS 'C2SP text form';
COMMENT ON COLUMN witness.size IS 'size of the last checkpoint that it is known to have cosigned, 0 for none';
COMMENT ON COLUMN witness.problem IS 'why it does not cosign now: a code, never free text; NULL: it does';
COMMENT ON COLUMN witness.at IS 'when it last answered, or failed to, µs';

ALTER TABLE job ADD COLUMN waited BIGINT NOT NULL DEFAULT 0;
COMMENT ON COLUMN job.waited IS 'claims that ended in waiting for somebody outside: no failures, however many';
