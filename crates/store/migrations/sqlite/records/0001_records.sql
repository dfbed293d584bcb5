-- records.db. Times are microseconds since 1970-01-01T00:00:00Z (UTC). Ids are 16-byte UUIDs.
-- `stream` is 17 bytes: 'R' request, 'C' consulted, 'G' register, 'H' house; then the request id or
-- 16 zero bytes. `sealed` is a 12-byte nonce, AES-256-GCM ciphertext and a 16-byte tag. Nothing that
-- is not sealed holds a name, an address or any other personal value.

-- Facts about the house itself.
CREATE TABLE house (
    name  TEXT NOT NULL PRIMARY KEY, -- 'origin': the log's C2SP origin
    value TEXT NOT NULL
) STRICT;

-- One row per event stream.
CREATE TABLE stream (
    stream  BLOB    NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL              -- number of events; the last event's seq
) STRICT;

-- One recorded event: clear header, sealed payload, ledger leaf.
CREATE TABLE event (
    position           INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, -- commit order, from 1
    stream             BLOB    NOT NULL REFERENCES stream (stream),
    seq                INTEGER NOT NULL, -- position in its stream, from 1
    at                 INTEGER NOT NULL, -- when recorded, µs; copied from the header
    kind               TEXT    NOT NULL, -- copied from the header
    gallery            TEXT,             -- copied from the header
    leo                BLOB,             -- copied from the header
    outcome            TEXT,             -- copied from the header
    class              TEXT    NOT NULL, -- retention class of the payload; copied from the header
    header             TEXT    NOT NULL, -- the header as JSON, exactly the bytes committed to
    header_salt        BLOB    NOT NULL, -- 32 bytes: salt of the commitment to the header
    payload_commitment BLOB    NOT NULL, -- 32 bytes: salted commitment to the payload; its salt is sealed with the payload
    key_id             BLOB    NOT NULL, -- data key the payload is sealed under (keys.db)
    sealed             BLOB,             -- sealed salt (32 bytes) and payload; NULL after erasure
    leaf               BLOB    NOT NULL, -- 32 bytes: what goes into the log
    log_index          INTEGER,          -- place in the log, from 0; NULL until sequenced
    UNIQUE (stream, seq)
) STRICT;
CREATE UNIQUE INDEX event_log_index ON event (log_index) WHERE log_index IS NOT NULL;
CREATE INDEX event_unsequenced ON event (position) WHERE log_index IS NULL;
CREATE INDEX event_class ON event (stream, class);
CREATE INDEX event_kind ON event (kind, log_index);
CREATE INDEX event_gallery ON event (gallery, log_index);
CREATE INDEX event_outcome ON event (outcome, log_index);

-- The clauses that an event's header cites, to search the log by.
CREATE TABLE event_clause (
    clause   TEXT    NOT NULL,            -- clause id, e.g. 'A7'
    position INTEGER NOT NULL REFERENCES event (position),
    PRIMARY KEY (clause, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX event_clause_position ON event_clause (position);

-- Stored hashes of the RFC 6962 tree, in Crosby and Wallach's dense order.
CREATE TABLE log_hash (
    idx  INTEGER NOT NULL PRIMARY KEY, -- dense index, from 0
    hash BLOB    NOT NULL              -- 32 bytes, SHA-256
) STRICT;

-- Every checkpoint ever signed.
CREATE TABLE checkpoint (
    size INTEGER NOT NULL PRIMARY KEY, -- number of leaves
    at   INTEGER NOT NULL,             -- when signed, µs
    note TEXT    NOT NULL              -- C2SP signed note
) STRICT;

-- Keys that were destroyed on purpose: what tells an erased payload from a lost one.
CREATE TABLE erasure (
    key_id BLOB    NOT NULL PRIMARY KEY, -- the destroyed data key
    stream BLOB    NOT NULL,
    class  TEXT    NOT NULL,             -- retention class erased
    at     INTEGER NOT NULL,             -- when asked for, µs
    done   INTEGER NOT NULL              -- 1 once key, sealed bytes, blobs and look-ups are gone
) STRICT;
CREATE INDEX erasure_stream ON erasure (stream, class);

-- Work-queue projection: one row per request.
CREATE TABLE request_row (
    request     BLOB    NOT NULL PRIMARY KEY,
    version     INTEGER NOT NULL, -- stream version that the row was folded at
    gallery     TEXT    NOT NULL,
    leo         BLOB    NOT NULL, -- requesting force
    team        BLOB,             -- team that works on it
    state       TEXT    NOT NULL, -- request state, kebab-case
    urgent      INTEGER NOT NULL, -- 1: goes first (S6)
    sensitive   INTEGER NOT NULL, -- 1: hidden from all but request_people (V1)
    received_at INTEGER NOT NULL, -- µs
    due_at      INTEGER,          -- µs
    changed_at  INTEGER NOT NULL, -- µs
    requester   BLOB    NOT NULL, -- person
    approver    BLOB,             -- person
    assignee    BLOB,             -- person
    flags       TEXT    NOT NULL  -- JSON of small non-personal facts
) STRICT;
-- Each queue is read in order from one of these; `urgent, received_at` gives urgent first, then oldest.
CREATE INDEX row_all       ON request_row (urgent DESC, received_at, request);
CREATE INDEX row_newest    ON request_row (received_at DESC, request);
CREATE INDEX row_state     ON request_row (state, urgent DESC, received_at, request);
CREATE INDEX row_gallery   ON request_row (gallery, urgent DESC, received_at, request);
CREATE INDEX row_gal_state ON request_row (gallery, state, urgent DESC, received_at, request);
CREATE INDEX row_gal_st_as ON request_row (gallery, state, assignee, urgent DESC, received_at, request);
CREATE INDEX row_gal_new   ON request_row (gallery, received_at DESC, request);
CREATE INDEX row_leo       ON request_row (leo, urgent DESC, received_at, request);
CREATE INDEX row_leo_state ON request_row (leo, state, urgent DESC, received_at, request);
CREATE INDEX row_leo_new   ON request_row (leo, received_at DESC, request);
CREATE INDEX row_leo_st_nw ON request_row (leo, state, received_at DESC, request);
CREATE INDEX row_requester ON request_row (requester, urgent DESC, received_at, request);
CREATE INDEX row_req_state ON request_row (requester, state, urgent DESC, received_at, request);
CREATE INDEX row_req_new   ON request_row (requester, received_at DESC, request);
CREATE INDEX row_req_st_nw ON request_row (requester, state, received_at DESC, request);
CREATE INDEX row_assignee  ON request_row (assignee, urgent DESC, received_at, request);
CREATE INDEX row_asg_state ON request_row (assignee, state, urgent DESC, received_at, request);
CREATE INDEX row_asg_new   ON request_row (assignee, received_at DESC, request);

-- Who has a part in a request, and so may know of a sensitive one.
CREATE TABLE request_people (
    request BLOB NOT NULL REFERENCES request_row (request),
    person  BLOB NOT NULL,
    role    TEXT NOT NULL, -- e.g. 'requester', 'assessor', 'examiner'
    PRIMARY KEY (request, person, role)
) STRICT, WITHOUT ROWID;
CREATE INDEX people_person ON request_people (person, role, request);

-- Requests per gallery and state, kept in step with request_row.
CREATE TABLE request_count (
    gallery   TEXT    NOT NULL,
    state     TEXT    NOT NULL,
    sensitive INTEGER NOT NULL, -- 1: counted apart, since their number is itself need-to-know (V1)
    number    INTEGER NOT NULL,
    PRIMARY KEY (gallery, state, sensitive)
) STRICT, WITHOUT ROWID;

-- Outgoing work, enqueued in the deciding transaction.
CREATE TABLE job (
    id          INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind        TEXT    NOT NULL,           -- kebab-case
    stream      BLOB    NOT NULL,           -- stream that asked for it
    payload     TEXT    NOT NULL,           -- JSON of ids only
    run_at      INTEGER NOT NULL,           -- not before, µs
    attempts    INTEGER NOT NULL DEFAULT 0, -- times claimed; also the fencing number of the lease
    lease_until INTEGER,                    -- µs; NULL: not claimed
    worker      TEXT,                       -- who holds the lease
    failed      INTEGER NOT NULL DEFAULT 0, -- 1: given up; a person must look
    reason      TEXT                        -- last failure's code, never free text
) STRICT;
CREATE INDEX job_due ON job (run_at, id) WHERE failed = 0;
CREATE INDEX job_failed ON job (id) WHERE failed = 1;

-- Commands already carried out, so that a double submit is carried out once.
CREATE TABLE idempotency (
    mac     BLOB    NOT NULL PRIMARY KEY, -- keyed HMAC of the key, 32 bytes
    stream  BLOB    NOT NULL,
    version INTEGER NOT NULL,             -- stream version that the command led to
    at      INTEGER NOT NULL              -- µs
) STRICT;
CREATE INDEX idempotency_at ON idempotency (at);

-- Unsent forms, sealed, outside the log.
CREATE TABLE draft (
    id         BLOB    NOT NULL PRIMARY KEY,
    owner      BLOB    NOT NULL, -- person
    leo        BLOB    NOT NULL,
    version    INTEGER NOT NULL, -- optimistic version, from 1
    changed_at INTEGER NOT NULL, -- µs
    key_id     BLOB    NOT NULL,
    sealed     BLOB    NOT NULL
) STRICT;
CREATE INDEX draft_owner ON draft (owner, changed_at DESC);

-- Sealed blobs: image bytes in their own file. Row first, then file, then the event that refers to it.
CREATE TABLE blob (
    id         BLOB    NOT NULL PRIMARY KEY,
    stream     BLOB    NOT NULL,
    class      TEXT    NOT NULL,
    key_id     BLOB    NOT NULL,
    bytes      INTEGER NOT NULL, -- length before sealing
    created_at INTEGER NOT NULL, -- µs
    bound      INTEGER NOT NULL  -- 1: a committed event refers to it; 0: an orphan once old enough
) STRICT;
CREATE INDEX blob_class ON blob (stream, class);
CREATE INDEX blob_unbound ON blob (created_at) WHERE bound = 0;

-- Blobs that an unsent form holds on to.
CREATE TABLE draft_blob (
    draft BLOB NOT NULL REFERENCES draft (id) ON DELETE CASCADE,
    blob  BLOB NOT NULL REFERENCES blob (id) ON DELETE CASCADE,
    PRIMARY KEY (draft, blob)
) STRICT, WITHOUT ROWID;
CREATE INDEX draft_blob_blob ON draft_blob (blob);

-- What the galleries hold about a person: biography sealed.
CREATE TABLE holding (
    gallery   TEXT    NOT NULL,
    reference BLOB    NOT NULL,
    source    BLOB    NOT NULL, -- keyed HMAC of the source file's digest, 32 bytes: resumes an enrolment
    at        INTEGER NOT NULL, -- when enrolled, µs
    key_id    BLOB    NOT NULL,
    sealed    BLOB    NOT NULL, -- biography
    PRIMARY KEY (gallery, reference),
    UNIQUE (gallery, source)
) STRICT, WITHOUT ROWID;

-- The image of a holding, apart, so that reading biographies does not page through images.
CREATE TABLE holding_image (
    gallery   TEXT NOT NULL,
    reference BLOB NOT NULL,
    key_id    BLOB NOT NULL,
    sealed    BLOB NOT NULL,
    PRIMARY KEY (gallery, reference),
    FOREIGN KEY (gallery, reference) REFERENCES holding (gallery, reference) ON DELETE CASCADE
) STRICT;

-- How many references each gallery holds, kept in step with `holding`.
CREATE TABLE holding_count (
    gallery TEXT    NOT NULL PRIMARY KEY,
    number  INTEGER NOT NULL
) STRICT;

-- Signed-in sessions.
CREATE TABLE session (
    key        BLOB    NOT NULL PRIMARY KEY, -- SHA-256 of the session id
    key_id     BLOB    NOT NULL,
    sealed     BLOB    NOT NULL,
    expires_at INTEGER NOT NULL              -- µs
) STRICT;
CREATE INDEX session_expires ON session (expires_at);

-- Look-ups on personal values, as keyed HMACs; erased with the class they belong to.
CREATE TABLE lookup (
    kind    TEXT NOT NULL, -- what was hashed, e.g. 'crime-reference'
    mac     BLOB NOT NULL, -- 32 bytes
    request BLOB NOT NULL,
    class   TEXT NOT NULL,
    PRIMARY KEY (kind, mac, request)
) STRICT, WITHOUT ROWID;
CREATE INDEX lookup_request ON lookup (request, class);
