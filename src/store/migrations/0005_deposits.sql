-- Files on their way to where they shall be kept: the intent, until the file is there and its record is written.
CREATE TABLE deposits (
    id BIGINT PRIMARY KEY,
    owner BIGINT NOT NULL,
    -- The server that has the file.
    node BIGINT NOT NULL,
    file TEXT NOT NULL,
    region TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    bucket TEXT NOT NULL,
    object TEXT NOT NULL,
    content_type TEXT NOT NULL,
    size BIGINT NOT NULL,
    -- Whether it takes the place of an object of the same name.
    replaces BIGINT NOT NULL,
    -- A key for this object alone; the secret is sealed.
    key_id TEXT,
    secret TEXT,
    -- JSON; none: a part of another object.
    record TEXT,
    callback_object TEXT,
    callback_url TEXT,
    callback_body TEXT,
    -- The multipart upload that is under way.
    upload TEXT NOT NULL,
    tries BIGINT NOT NULL,
    due BIGINT NOT NULL,
    error TEXT NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX deposits_due ON deposits (node, due);
CREATE INDEX deposits_object ON deposits (bucket, object);
