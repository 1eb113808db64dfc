-- Usage by server, and what groups and tenants used in all. span is 60, 300, 3600 or 86400 seconds.

-- Minutes are written by the server (node) that counted them; longer spans are sums over all servers, with node 0.
CREATE TABLE usage_new (
    span BIGINT NOT NULL,
    happened BIGINT NOT NULL,
    stream_id BIGINT NOT NULL,
    group_id BIGINT NOT NULL,
    owner BIGINT NOT NULL,
    node BIGINT NOT NULL,
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
    PRIMARY KEY (span, happened, stream_id, group_id, node)
);

-- group_id 0: all groups of the tenant. protocol '': all protocols; of one protocol there are bytes alone. top_in, top_out: the
-- most bytes within five minutes. streams, viewers, recordings, devices: the most at once, and the minute when first.
CREATE TABLE usage_totals (
    span BIGINT NOT NULL,
    happened BIGINT NOT NULL,
    owner BIGINT NOT NULL,
    group_id BIGINT NOT NULL,
    protocol TEXT NOT NULL,
    node BIGINT NOT NULL,
    bytes_in BIGINT NOT NULL,
    bytes_out BIGINT NOT NULL,
    video_frames BIGINT NOT NULL,
    audio_frames BIGINT NOT NULL,
    live_ms BIGINT NOT NULL,
    mp4_ms BIGINT NOT NULL,
    flv_ms BIGINT NOT NULL,
    hls_ms BIGINT NOT NULL,
    snapshots BIGINT NOT NULL,
    top_in BIGINT NOT NULL,
    top_out BIGINT NOT NULL,
    streams BIGINT NOT NULL,
    streams_at BIGINT NOT NULL,
    viewers BIGINT NOT NULL,
    viewers_at BIGINT NOT NULL,
    recordings BIGINT NOT NULL,
    recordings_at BIGINT NOT NULL,
    devices BIGINT NOT NULL,
    devices_at BIGINT NOT NULL,
    PRIMARY KEY (owner, group_id, protocol, span, happened, node)
);
CREATE INDEX usage_totals_happened ON usage_totals (span, happened);

INSERT INTO usage_new (span, happened, stream_id, group_id, owner, node, bytes_in, bytes_out, video_frames, audio_frames, live_ms,
    viewers, mp4_ms, flv_ms, hls_ms, snapshots)
SELECT span, happened, stream_id, group_id, owner, 0, bytes_in, bytes_out, video_frames, audio_frames, live_ms, viewers, mp4_ms, flv_ms,
    hls_ms, snapshots FROM usage_spans;

-- What was counted before totals were kept: at least so many streams ran at once.
INSERT INTO usage_totals (span, happened, owner, group_id, protocol, node, bytes_in, bytes_out, video_frames, audio_frames, live_ms,
    mp4_ms, flv_ms, hls_ms, snapshots, top_in, top_out, streams, streams_at, viewers, viewers_at, recordings, recordings_at, devices,
    devices_at)
SELECT span, happened, owner, group_id, '', 0, CAST(SUM(bytes_in) AS BIGINT), CAST(SUM(bytes_out) AS BIGINT),
    CAST(SUM(video_frames) AS BIGINT), CAST(SUM(audio_frames) AS BIGINT), CAST(SUM(live_ms) AS BIGINT), CAST(SUM(mp4_ms) AS BIGINT),
    CAST(SUM(flv_ms) AS BIGINT), CAST(SUM(hls_ms) AS BIGINT), CAST(SUM(snapshots) AS BIGINT),
    CAST(SUM(bytes_in) AS BIGINT) * 300 / span, CAST(SUM(bytes_out) AS BIGINT) * 300 / span,
    (CAST(SUM(live_ms) AS BIGINT) + span * 1000 - 1) / (span * 1000), happened, MAX(viewers), happened, 0, happened, 0, happened
FROM usage_spans WHERE span > 60 GROUP BY span, happened, owner, group_id;
INSERT INTO usage_totals (span, happened, owner, group_id, protocol, node, bytes_in, bytes_out, video_frames, audio_frames, live_ms,
    mp4_ms, flv_ms, hls_ms, snapshots, top_in, top_out, streams, streams_at, viewers, viewers_at, recordings, recordings_at, devices,
    devices_at)
SELECT span, happened, owner, 0, '', 0, CAST(SUM(bytes_in) AS BIGINT), CAST(SUM(bytes_out) AS BIGINT),
    CAST(SUM(video_frames) AS BIGINT), CAST(SUM(audio_frames) AS BIGINT), CAST(SUM(live_ms) AS BIGINT), CAST(SUM(mp4_ms) AS BIGINT),
    CAST(SUM(flv_ms) AS BIGINT), CAST(SUM(hls_ms) AS BIGINT), CAST(SUM(snapshots) AS BIGINT),
    CAST(SUM(bytes_in) AS BIGINT) * 300 / span, CAST(SUM(bytes_out) AS BIGINT) * 300 / span,
    (CAST(SUM(live_ms) AS BIGINT) + span * 1000 - 1) / (span * 1000), happened, MAX(viewers), happened, 0, happened, 0, happened
FROM usage_spans WHERE span > 60 GROUP BY span, happened, owner;

DROP TABLE usage_spans;
ALTER TABLE usage_new RENAME TO usage_spans;
CREATE INDEX usage_spans_stream ON usage_spans (span, stream_id, happened);

-- Who is online is asked for twice a minute.
CREATE INDEX devices_online ON devices (owner, group_id) WHERE status = 'on';
