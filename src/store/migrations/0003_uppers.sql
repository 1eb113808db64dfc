-- Upper platforms that this server registers to, and what it shows them; where devices were.

CREATE TABLE uppers (
    id BIGINT PRIMARY KEY,
    owner BIGINT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    host TEXT NOT NULL,
    port BIGINT NOT NULL,
    transport TEXT NOT NULL,
    server_id TEXT NOT NULL,
    domain TEXT NOT NULL,
    local_id TEXT NOT NULL,
    username TEXT NOT NULL,
    password TEXT,
    edition TEXT NOT NULL,
    expires BIGINT NOT NULL,
    keepalive BIGINT NOT NULL,
    control BIGINT NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX uppers_owner ON uppers (owner, id);
CREATE UNIQUE INDEX uppers_place ON uppers (host, port, server_id, local_id);

-- Groups all of whose streams are shown.
CREATE TABLE upper_groups (
    upper_id BIGINT NOT NULL REFERENCES uppers (id) ON DELETE CASCADE,
    group_id BIGINT NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    PRIMARY KEY (upper_id, group_id)
);
CREATE INDEX upper_groups_group ON upper_groups (group_id);

-- By which id a stream is known there. shared: it is shown for itself, not only with its group.
CREATE TABLE upper_streams (
    upper_id BIGINT NOT NULL REFERENCES uppers (id) ON DELETE CASCADE,
    stream_id BIGINT NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    gb_id TEXT NOT NULL,
    shared BIGINT NOT NULL,
    PRIMARY KEY (upper_id, stream_id)
);
CREATE UNIQUE INDEX upper_streams_gb_id ON upper_streams (upper_id, gb_id);
CREATE INDEX upper_streams_stream ON upper_streams (stream_id);

-- Where devices were: degrees, km/h and metres as decimal texts.
CREATE TABLE positions (
    id BIGINT PRIMARY KEY,
    owner BIGINT NOT NULL,
    group_id BIGINT NOT NULL,
    device_id BIGINT NOT NULL,
    gb_id TEXT NOT NULL,
    longitude TEXT NOT NULL,
    latitude TEXT NOT NULL,
    speed TEXT,
    direction TEXT,
    altitude TEXT,
    happened BIGINT NOT NULL
);
CREATE INDEX positions_device ON positions (device_id, id);
CREATE INDEX positions_channel ON positions (device_id, gb_id, id);
CREATE INDEX positions_happened ON positions (happened);
