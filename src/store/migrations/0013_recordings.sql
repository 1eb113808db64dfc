-- Recordings on demand that were ordered and not stopped: a server that starts goes on with its own. ordered: JSON, what is written,
-- how and where to. sequence: the number of the newest file that was finished.
CREATE TABLE recordings (
    id BIGINT PRIMARY KEY,
    node BIGINT NOT NULL,
    owner BIGINT NOT NULL,
    group_id BIGINT NOT NULL,
    stream_id BIGINT NOT NULL,
    ordered TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    since BIGINT NOT NULL
);
CREATE INDEX recordings_node ON recordings (node);
