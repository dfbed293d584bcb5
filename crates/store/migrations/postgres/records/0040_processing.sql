-- What is folded out of the sequenced log, so that a page reads what it shows and not the whole log. All of it can
-- be made again from the events, and `audit replay` does so and compares. Times are microseconds since 1970 (UTC).

-- How far the tables below have come.
CREATE TABLE folded (
    one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    upto BIGINT NOT NULL
);
COMMENT ON COLUMN folded.one IS 'there is one row';
COMMENT ON COLUMN folded.upto IS 'leaves folded: the next log index to fold';
INSERT INTO folded (one, upto) VALUES (1, 0);

-- One row per event in the log: what DPA 2018 s.62 asks to be found. No person is named.
CREATE TABLE processing (
    log_index BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    operation TEXT COLLATE "C" NOT NULL,
    gallery TEXT COLLATE "C",
    leo BYTEA,
    request BYTEA
);
COMMENT ON COLUMN processing.log_index IS 'place in the log, from 0';
COMMENT ON COLUMN processing.at IS 'when recorded, µs';
COMMENT ON COLUMN processing.operation IS 's.62(1): collection, alteration, consultation, disclosure, combination, erasure';
COMMENT ON COLUMN processing.gallery IS 'where there is one';
COMMENT ON COLUMN processing.leo IS 'force, where there is one';
COMMENT ON COLUMN processing.request IS 'the request that it belongs to, where there is one';
-- Pages are read newest first by (at, log_index), within at most one of these.
CREATE INDEX processing_at        ON processing (at, log_index);
CREATE INDEX processing_operation ON processing (operation, at, log_index);
CREATE INDEX processing_gallery   ON processing (gallery, at, log_index);
CREATE INDEX processing_leo       ON processing (leo, at, log_index);
CREATE INDEX processing_request   ON processing (request, at, log_index);

-- Who did it or received it, as keyed HMACs: erased with the payload that names them.
CREATE TABLE processing_party (
    mac BYTEA NOT NULL,
    at BIGINT NOT NULL,
    log_index BIGINT NOT NULL REFERENCES processing (log_index),
    PRIMARY KEY (mac, at, log_index)
);
COMMENT ON COLUMN processing_party.mac IS '32 bytes';
CREATE INDEX processing_party_entry ON processing_party (log_index);

-- The clauses that it cites.
CREATE TABLE processing_clause (
    clause TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    log_index BIGINT NOT NULL REFERENCES processing (log_index),
    PRIMARY KEY (clause, at, log_index)
);
COMMENT ON COLUMN processing_clause.clause IS 'clause id, e.g. ''A7''';
CREATE INDEX processing_clause_entry ON processing_clause (log_index);

-- Management information (D4): counts by gallery; by gallery and force; by gallery and London month.
CREATE TABLE figure (
    gallery TEXT COLLATE "C" NOT NULL,
    filed TEXT COLLATE "C" NOT NULL,
    of TEXT COLLATE "C" NOT NULL,
    measure TEXT COLLATE "C" NOT NULL,
    detail TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (gallery, filed, of, measure, detail)
);
COMMENT ON COLUMN figure.filed IS '''gallery'', ''force'', ''month'', or ''days'' (working days that an answer took)';
COMMENT ON COLUMN figure.of IS ''''', the force''s id, ''2026-11'', or ''''';
COMMENT ON COLUMN figure.measure IS 'kebab-case';
COMMENT ON COLUMN figure.detail IS 'the outcome, the clause, the number of days, or ''''';
