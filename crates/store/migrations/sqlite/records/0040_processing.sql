-- What is folded out of the sequenced log, so that a page reads what it shows and not the whole log. All of it can
-- be made again from the events, and `audit replay` does so and compares. Times are microseconds since 1970 (UTC).

-- How far the tables below have come.
CREATE TABLE folded (
    one  INTEGER NOT NULL PRIMARY KEY CHECK (one = 1), -- there is one row
    upto INTEGER NOT NULL                              -- leaves folded: the next log index to fold
) STRICT;
INSERT INTO folded (one, upto) VALUES (1, 0);

-- One row per event in the log: what DPA 2018 s.62 asks to be found. No person is named.
CREATE TABLE processing (
    log_index INTEGER NOT NULL PRIMARY KEY, -- place in the log, from 0
    at        INTEGER NOT NULL, -- when recorded, µs
    operation TEXT    NOT NULL, -- s.62(1): collection, alteration, consultation, disclosure, combination, erasure
    gallery   TEXT,             -- where there is one
    leo       BLOB,             -- force, where there is one
    request   BLOB              -- the request that it belongs to, where there is one
) STRICT;
-- Pages are read newest first by (at, log_index), within at most one of these.
CREATE INDEX processing_at        ON processing (at, log_index);
CREATE INDEX processing_operation ON processing (operation, at, log_index);
CREATE INDEX processing_gallery   ON processing (gallery, at, log_index);
CREATE INDEX processing_leo       ON processing (leo, at, log_index);
CREATE INDEX processing_request   ON processing (request, at, log_index);

-- Who did it or received it, as keyed HMACs: erased with the payload that names them.
CREATE TABLE processing_party (
    mac       BLOB    NOT NULL, -- 32 bytes
    at        INTEGER NOT NULL,
    log_index INTEGER NOT NULL REFERENCES processing (log_index),
    PRIMARY KEY (mac, at, log_index)
) STRICT, WITHOUT ROWID;
CREATE INDEX processing_party_entry ON processing_party (log_index);

-- The clauses that it cites.
CREATE TABLE processing_clause (
    clause    TEXT    NOT NULL, -- clause id, e.g. 'A7'
    at        INTEGER NOT NULL,
    log_index INTEGER NOT NULL REFERENCES processing (log_index),
    PRIMARY KEY (clause, at, log_index)
) STRICT, WITHOUT ROWID;
CREATE INDEX processing_clause_entry ON processing_clause (log_index);

-- Management information (D4): counts by gallery; by gallery and force; by gallery and London month.
CREATE TABLE figure (
    gallery TEXT    NOT NULL,
    filed   TEXT    NOT NULL, -- 'gallery', 'force', 'month', or 'days' (working days that an answer took)
    of      TEXT    NOT NULL, -- '', the force's id, '2026-11', or ''
    measure TEXT    NOT NULL, -- kebab-case
    detail  TEXT    NOT NULL, -- the outcome, the clause, the number of days, or ''
    number  INTEGER NOT NULL,
    PRIMARY KEY (gallery, filed, of, measure, detail)
) STRICT, WITHOUT ROWID;
