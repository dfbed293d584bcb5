-- Cosignatures of witnesses over checkpoints, kept before anything is let go because of them.
CREATE TABLE cosignature (
    size BIGINT NOT NULL REFERENCES checkpoint (size),
    witness TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    line TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (size, witness)
);
COMMENT ON COLUMN cosignature.size IS 'the checkpoint';
COMMENT ON COLUMN cosignature.witness IS 'the witness''s key, C2SP text form';
COMMENT ON COLUMN cosignature.at IS 'the time that it signs, µs';
COMMENT ON COLUMN cosignature.line IS 'the signature line, with its newline';
