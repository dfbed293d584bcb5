-- What each witness last told us.
CREATE TABLE witness (
    key     TEXT    NOT NULL PRIMARY KEY, -- C2SP text form
    size    INTEGER NOT NULL,             -- size of the last checkpoint that it is known to have cosigned, 0 for none
    problem TEXT,                         -- why it does not cosign now: a code, never free text; NULL: it does
    at      INTEGER NOT NULL              -- when it last answered, or failed to, µs
) STRICT;

-- Claims of a job that ended in waiting for somebody outside: no failures, however many.
ALTER TABLE job ADD COLUMN waited INTEGER NOT NULL DEFAULT 0;
