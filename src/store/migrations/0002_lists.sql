-- Every order of DescribeStreams and DescribeDevices through an index that holds what lists are filtered by, so that a page far down
-- is skipped to without reading rows: see store/list.rs. (SQLite knows no NULLS FIRST: it always does so.)

-- 'on' and 'off' change often and stand in each of these: some 50 microseconds a change.
CREATE INDEX streams_by_name ON streams (name, id, hidden, group_id, device_id, owner, status, start_time, stop_time);
CREATE INDEX streams_by_app ON streams (app, id, hidden, group_id, device_id, owner, status, start_time, stop_time);
CREATE INDEX streams_by_protocol ON streams (protocol, id, hidden, group_id, device_id, owner, status, start_time, stop_time);
CREATE INDEX streams_by_group_id ON streams (group_id, id, hidden, device_id, owner, status, start_time, stop_time);
CREATE INDEX streams_by_device_id ON streams (device_id NULLS FIRST, id, hidden, group_id, owner, status, start_time, stop_time);
CREATE INDEX streams_by_forbidden ON streams (forbidden, id, hidden, group_id, device_id, owner, status, start_time, stop_time);
CREATE INDEX streams_by_status ON streams (status, id, hidden, group_id, device_id, owner, start_time, stop_time);
CREATE INDEX streams_by_start_time ON streams (start_time NULLS FIRST, id, hidden, group_id, device_id, owner, status, stop_time);
CREATE INDEX streams_by_stop_time ON streams (stop_time NULLS FIRST, id, hidden, group_id, device_id, owner, status, start_time);
CREATE INDEX streams_by_id ON streams (id, hidden, group_id, device_id, owner, status, start_time, stop_time);

-- There are fewer devices: their state is looked up.
CREATE INDEX devices_by_name ON devices (name, id, group_id, owner);
CREATE INDEX devices_by_description ON devices (description, id, group_id, owner);
CREATE INDEX devices_by_group_id ON devices (group_id, id, owner);
CREATE INDEX devices_by_parent ON devices (parent NULLS FIRST, id, group_id, owner);
CREATE INDEX devices_by_directory ON devices (directory NULLS FIRST, id, group_id, owner);
CREATE INDEX devices_by_kind ON devices (kind, id, group_id, owner);
CREATE INDEX devices_by_auto_start ON devices (auto_start, id, group_id, owner);
CREATE INDEX devices_by_enabled ON devices (enabled, id, group_id, owner);
CREATE INDEX devices_by_status ON devices (status, id, group_id, owner);
CREATE INDEX devices_by_gb_id ON devices (gb_id, id, group_id, owner);
CREATE INDEX devices_by_ip ON devices (ip, id, group_id, owner);
CREATE INDEX devices_by_port ON devices (port NULLS FIRST, id, group_id, owner);
CREATE INDEX devices_by_username ON devices (username, id, group_id, owner);
CREATE INDEX devices_by_vendor ON devices (vendor, id, group_id, owner);
CREATE INDEX devices_by_longitude ON devices (longitude, id, group_id, owner);
CREATE INDEX devices_by_latitude ON devices (latitude, id, group_id, owner);
CREATE INDEX devices_by_auto_pos ON devices (auto_pos, id, group_id, owner);
CREATE INDEX devices_by_pos_interval ON devices (pos_interval, id, group_id, owner);
CREATE INDEX devices_by_alarm_method ON devices (alarm_method, id, group_id, owner);
CREATE INDEX devices_by_id ON devices (id, group_id, owner);

-- A device's channels in their order, with what they are filtered by.
DROP INDEX channels_device;
CREATE INDEX channels_device ON channels (device_id, state, id, online, directory, stream_id, name);

-- The log of callbacks and the alarms, as they are listed.
CREATE INDEX deliveries_failed ON deliveries (owner, id) WHERE error <> '';
CREATE INDEX alarms_group ON alarms (group_id, id);
CREATE INDEX alarms_of_device ON alarms (device_id, id);
