-- keys.db: data keys, each wrapped by the key provider's master key. A store of its own, so that an
-- old backup of records.db opened with today's keys cannot bring the erased back.

-- One data key. Deleting its row (secure_delete zeroes the page) is what erasure is.
CREATE TABLE wrapped_key (
    key_id  BLOB    NOT NULL PRIMARY KEY, -- 16 random bytes; named by everything sealed under the key
    scope   BLOB    NOT NULL,             -- what the key is for: see `Scope` in keys.rs
    wrapped BLOB    NOT NULL,             -- nonce (12 bytes), AES-256-GCM ciphertext of the 32-byte key, tag (16)
    retired INTEGER NOT NULL DEFAULT 0    -- 1: being destroyed; opens what it sealed, seals nothing new
) STRICT;
CREATE UNIQUE INDEX wrapped_key_current ON wrapped_key (scope) WHERE retired = 0;
CREATE INDEX wrapped_key_scope ON wrapped_key (scope);
