-- Data keys, each wrapped by the key provider's master key. A database of its own, so that an old backup of
-- the records opened with today's keys cannot bring the erased back.

-- One data key. Deleting its row is what erasure is; the dead row lies in its page until VACUUM.
CREATE TABLE wrapped_key (
    key_id BYTEA NOT NULL PRIMARY KEY,
    scope BYTEA NOT NULL,
    wrapped BYTEA NOT NULL,
    retired BIGINT NOT NULL DEFAULT 0
);
COMMENT ON COLUMN wrapped_key.key_id IS '16 random bytes; named by everything sealed under the key';
COMMENT ON COLUMN wrapped_key.scope IS 'what the key is for: see `Scope` in keys.rs';
COMMENT ON COLUMN wrapped_key.wrapped IS 'nonce (12 bytes), AES-256-GCM ciphertext of the 32-byte key, tag (16)';
COMMENT ON COLUMN wrapped_key.retired IS '1: being destroyed; opens what it sealed, seals nothing new';
CREATE UNIQUE INDEX wrapped_key_current ON wrapped_key (scope) WHERE retired = 0;
CREATE INDEX wrapped_key_scope ON wrapped_key (scope);
