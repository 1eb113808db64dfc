-- Recordings that were started by the cloud recording interface. sealed: the order, with the keys of its bucket; emptied when it ends.
CREATE TABLE cloud_recordings (
    sid TEXT PRIMARY KEY,
    resource TEXT NOT NULL UNIQUE,
    owner BIGINT NOT NULL,
    group_id BIGINT NOT NULL,
    stream_id BIGINT NOT NULL,
    cname TEXT NOT NULL,
    uid TEXT NOT NULL,
    mode TEXT NOT NULL,
    recording TEXT NOT NULL,
    sealed TEXT NOT NULL,
    running BIGINT NOT NULL,
    started BIGINT NOT NULL,
    stopped BIGINT,
    expires BIGINT NOT NULL
);
CREATE UNIQUE INDEX cloud_recordings_running ON cloud_recordings (group_id, cname, uid) WHERE running = 1;
CREATE INDEX cloud_recordings_expires ON cloud_recordings (expires);
