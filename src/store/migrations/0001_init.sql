-- The first schema. Times are milliseconds since 1970, truth values 0 and 1, ids as in model::id.
-- One text for both databases: SQLite reads INTEGER where BIGINT stands (so that a primary key is the row number),
-- PostgreSQL reads TEXT COLLATE "C" where TEXT stands (so that both sort alike).

-- What the store knows about itself.
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- Numbers that are given out once.
CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);

CREATE TABLE tenants (
    id BIGINT PRIMARY KEY,
    user_id TEXT NOT NULL UNIQUE,
    status BIGINT NOT NULL,
    created BIGINT NOT NULL
);

-- Secrets, passwords and keys are sealed: see store/seal.rs.
CREATE TABLE access_keys (
    id TEXT PRIMARY KEY,
    owner BIGINT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    secret TEXT NOT NULL,
    root BIGINT NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX access_keys_owner ON access_keys (owner, id);

-- Keys of buckets; an empty end point and bucket: the tenant's own for all.
CREATE TABLE bucket_keys (
    owner BIGINT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    endpoint TEXT NOT NULL,
    bucket TEXT NOT NULL,
    key_id TEXT NOT NULL,
    secret TEXT NOT NULL,
    PRIMARY KEY (owner, endpoint, bucket)
);

-- Keys that sign play and push URLs.
CREATE TABLE domain_keys (
    purpose TEXT PRIMARY KEY,
    main TEXT NOT NULL,
    backup TEXT NOT NULL
);

CREATE TABLE groups (
    id BIGINT PRIMARY KEY,
    owner BIGINT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    region TEXT NOT NULL,
    app TEXT NOT NULL,
    in_protocol TEXT NOT NULL,
    out_protocols TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    lazy_pull BIGINT NOT NULL,
    callback TEXT,
    gb_id TEXT UNIQUE,
    gb_password TEXT,
    auto_register BIGINT NOT NULL,
    license_required BIGINT NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX groups_owner ON groups (owner, id);

CREATE TABLE devices (
    id BIGINT PRIMARY KEY,
    owner BIGINT NOT NULL,
    group_id BIGINT NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    parent BIGINT REFERENCES devices (id) ON DELETE SET NULL DEFERRABLE INITIALLY IMMEDIATE,
    directory BIGINT,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    kind TEXT NOT NULL,
    auto_start BIGINT NOT NULL,
    enabled BIGINT NOT NULL,
    gb_id TEXT NOT NULL,
    ip TEXT NOT NULL,
    port BIGINT,
    username TEXT NOT NULL,
    password TEXT,
    vendor TEXT NOT NULL,
    longitude TEXT NOT NULL,
    latitude TEXT NOT NULL,
    auto_pos BIGINT NOT NULL,
    pos_interval BIGINT NOT NULL,
    alarm_method TEXT NOT NULL,
    params TEXT NOT NULL,
    status TEXT NOT NULL,
    status_at BIGINT NOT NULL,
    registration TEXT,
    created BIGINT NOT NULL
);
CREATE UNIQUE INDEX devices_gb_id ON devices (group_id, gb_id);
CREATE INDEX devices_group ON devices (group_id, id);
CREATE INDEX devices_status ON devices (group_id, status, id);
CREATE INDEX devices_kind ON devices (group_id, kind, id);
CREATE INDEX devices_name ON devices (group_id, name, id);
CREATE INDEX devices_parent ON devices (parent, id) WHERE parent IS NOT NULL;
CREATE INDEX devices_directory ON devices (directory, id) WHERE directory IS NOT NULL;
CREATE INDEX devices_owner ON devices (owner, id);

-- An operator's directories of a group (device is null), and those that a platform announces.
CREATE TABLE directories (
    id BIGINT PRIMARY KEY,
    owner BIGINT NOT NULL,
    group_id BIGINT NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    device_id BIGINT REFERENCES devices (id) ON DELETE CASCADE,
    parent BIGINT REFERENCES directories (id) ON DELETE CASCADE DEFERRABLE INITIALLY IMMEDIATE,
    code TEXT,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX directories_group ON directories (group_id, id);
CREATE UNIQUE INDEX directories_code ON directories (device_id, code);
CREATE INDEX directories_parent ON directories (parent, id);

CREATE TABLE channels (
    id BIGINT PRIMARY KEY,
    owner BIGINT NOT NULL,
    group_id BIGINT NOT NULL,
    device_id BIGINT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    gb_id TEXT NOT NULL,
    name TEXT NOT NULL,
    stream_id BIGINT NOT NULL,
    directory BIGINT,
    parent_code TEXT NOT NULL,
    online BIGINT NOT NULL,
    state TEXT NOT NULL,
    info TEXT NOT NULL
);
CREATE UNIQUE INDEX channels_gb_id ON channels (device_id, gb_id);
CREATE INDEX channels_device ON channels (device_id, state, id);

-- hidden: its channel is retired or deleted.
CREATE TABLE streams (
    id BIGINT PRIMARY KEY,
    owner BIGINT NOT NULL,
    group_id BIGINT NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    device_id BIGINT REFERENCES devices (id) ON DELETE CASCADE,
    channel_id BIGINT,
    name TEXT NOT NULL,
    app TEXT NOT NULL,
    protocol TEXT NOT NULL,
    forbidden BIGINT NOT NULL,
    started BIGINT NOT NULL,
    status TEXT NOT NULL,
    start_time BIGINT,
    stop_time BIGINT,
    created BIGINT NOT NULL,
    hidden BIGINT NOT NULL
);
CREATE INDEX streams_owner ON streams (owner, hidden, id);
CREATE INDEX streams_group ON streams (group_id, hidden, status, id);
CREATE INDEX streams_device ON streams (device_id, hidden, status, id);
CREATE INDEX streams_name ON streams (name, hidden, app, id);
CREATE INDEX streams_status ON streams (status, hidden, id);
CREATE INDEX streams_started ON streams (id) WHERE started = 1;

CREATE TABLE templates (
    id BIGINT PRIMARY KEY,
    owner BIGINT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    callback TEXT,
    region TEXT NOT NULL,
    bucket TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    body TEXT NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX templates_owner ON templates (owner, kind, id);

-- A group or a stream has one template of a kind at most.
CREATE TABLE bindings (
    instance_type TEXT NOT NULL,
    instance_id BIGINT NOT NULL,
    kind TEXT NOT NULL,
    template_id BIGINT NOT NULL REFERENCES templates (id),
    PRIMARY KEY (instance_type, instance_id, kind)
);
CREATE INDEX bindings_template ON bindings (template_id);
CREATE INDEX bindings_instance ON bindings (instance_id);

-- Finished objects. They outlive their stream and its group: no references.
CREATE TABLE records (
    id BIGINT PRIMARY KEY,
    owner BIGINT NOT NULL,
    group_id BIGINT NOT NULL,
    stream_id BIGINT NOT NULL,
    template_id BIGINT,
    kind TEXT NOT NULL,
    format TEXT,
    endpoint TEXT NOT NULL,
    bucket TEXT NOT NULL,
    object TEXT NOT NULL,
    start_time BIGINT NOT NULL,
    end_time BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    width BIGINT NOT NULL,
    height BIGINT NOT NULL,
    size BIGINT NOT NULL,
    expires BIGINT
);
CREATE INDEX records_stream ON records (stream_id, kind, start_time, id);
CREATE INDEX records_expires ON records (expires) WHERE expires IS NOT NULL;
CREATE INDEX records_object ON records (bucket, object);

-- How many records of a stream start on a UTC day, and the longest of them: pages of many records are found without counting them.
CREATE TABLE record_days (
    stream_id BIGINT NOT NULL,
    kind TEXT NOT NULL,
    day BIGINT NOT NULL,
    owner BIGINT NOT NULL,
    rows BIGINT NOT NULL,
    longest_ms BIGINT NOT NULL,
    PRIMARY KEY (stream_id, kind, day)
);

CREATE TABLE alarms (
    id BIGINT PRIMARY KEY,
    owner BIGINT NOT NULL,
    group_id BIGINT NOT NULL,
    device_id BIGINT NOT NULL,
    gb_id TEXT NOT NULL,
    method BIGINT NOT NULL,
    kind BIGINT,
    priority TEXT NOT NULL,
    description TEXT NOT NULL,
    happened BIGINT NOT NULL
);
CREATE INDEX alarms_device ON alarms (device_id, happened);
CREATE INDEX alarms_owner ON alarms (owner, happened);
CREATE INDEX alarms_happened ON alarms (happened);

-- Callbacks that wait. head: the first of its object, the only one that may be posted.
CREATE TABLE callbacks (
    id BIGINT PRIMARY KEY,
    owner BIGINT NOT NULL,
    object TEXT NOT NULL,
    host TEXT NOT NULL,
    url TEXT NOT NULL,
    body TEXT NOT NULL,
    tries BIGINT NOT NULL,
    due BIGINT NOT NULL,
    head BIGINT NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX callbacks_object ON callbacks (object, id);
CREATE INDEX callbacks_due ON callbacks (due, id, host) WHERE head = 1;

-- One row a try.
CREATE TABLE deliveries (
    id BIGINT PRIMARY KEY,
    callback_id BIGINT NOT NULL,
    owner BIGINT NOT NULL,
    object TEXT NOT NULL,
    url TEXT NOT NULL,
    body TEXT NOT NULL,
    tried BIGINT NOT NULL,
    happened BIGINT NOT NULL,
    took_ms BIGINT NOT NULL,
    status BIGINT NOT NULL,
    error TEXT NOT NULL,
    last BIGINT NOT NULL
);
CREATE INDEX deliveries_owner ON deliveries (owner, id);
CREATE INDEX deliveries_object ON deliveries (object, id);
CREATE INDEX deliveries_happened ON deliveries (happened);

-- What streams used: span is 60, 300, 3600 or 86400 seconds.
CREATE TABLE usage_spans (
    span BIGINT NOT NULL,
    stream_id BIGINT NOT NULL,
    happened BIGINT NOT NULL,
    owner BIGINT NOT NULL,
    group_id BIGINT NOT NULL,
    bytes_in BIGINT NOT NULL,
    bytes_out BIGINT NOT NULL,
    video_frames BIGINT NOT NULL,
    audio_frames BIGINT NOT NULL,
    live_ms BIGINT NOT NULL,
    viewers BIGINT NOT NULL,
    mp4_ms BIGINT NOT NULL,
    flv_ms BIGINT NOT NULL,
    hls_ms BIGINT NOT NULL,
    snapshots BIGINT NOT NULL,
    PRIMARY KEY (span, stream_id, happened, group_id)
);
CREATE INDEX usage_spans_group ON usage_spans (span, group_id, happened);
CREATE INDEX usage_spans_owner ON usage_spans (span, owner, happened);
