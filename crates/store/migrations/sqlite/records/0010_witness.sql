-- Cosignatures of witnesses over checkpoints, kept before anything is let go because of them.
CREATE TABLE cosignature (
    size    INTEGER NOT NULL REFERENCES checkpoint (size), -- the checkpoint
    witness TEXT    NOT NULL,                              -- the witness's key, C2SP text form
    at      INTEGER NOT NULL,                              -- the time that it signs, µs
    line    TEXT    NOT NULL,                              -- the signature line, with its newline
    PRIMARY KEY (size, witness)
) STRICT, WITHOUT ROWID;
