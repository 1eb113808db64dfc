-- Which recording made a record.
ALTER TABLE records ADD COLUMN recording BIGINT;
CREATE INDEX records_recording ON records (recording) WHERE recording IS NOT NULL;
