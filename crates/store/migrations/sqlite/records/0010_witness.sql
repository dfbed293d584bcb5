-- Cosignatures of witnesses over checkpoints, kept before anything is let go because of them.
CREATE TABLE cosignature (
    size    INTEGER NOT NULL REFERENCES checkpoint (size), -- the checkpoint
    witness TEXT    NOT NULL,                              -- the witness's key, C2SP text form
    at      INTEGER NOT NULL,                              -- the time that it signs, µs
    line    TEXT    NOT NULL,                              -- the signature line, with its newline
    PRIMARY KEY (size, witness)
) STRICT, WITHOUT ROWID;

-- What each witness last told us.
CREATE TABLE witness (
    key     TEXT    NOT NULL PRIMARY KEY, -- C2SP text form
    size    INTEGER NOT NULL,             -- size of the last checkpoint that it says it cosigned
    problem TEXT,                         -- why it does not cosign now: a code, never free text; NULL: it does
    at      INTEGER NOT NULL              -- when it last answered, or failed to, µs
) STRICT;
