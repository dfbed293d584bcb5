-- Known-answer trials: on examiners' lists beside casework, on no other list, and never counted.
ALTER TABLE request_row ADD COLUMN trial BIGINT NOT NULL DEFAULT 0;
COMMENT ON COLUMN request_row.trial IS '1: a known-answer trial';
CREATE INDEX row_trial ON request_row (gallery, received_at DESC, request) WHERE trial = 1;
