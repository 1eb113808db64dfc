-- What a tenant may have at most (null: no limit), and the bytes of its records, which are kept in step with them.

ALTER TABLE tenants ADD COLUMN max_groups BIGINT;
ALTER TABLE tenants ADD COLUMN max_devices BIGINT;
ALTER TABLE tenants ADD COLUMN max_streams BIGINT;
ALTER TABLE tenants ADD COLUMN max_viewers BIGINT;
ALTER TABLE tenants ADD COLUMN max_recordings BIGINT;
ALTER TABLE tenants ADD COLUMN max_bandwidth BIGINT;
ALTER TABLE tenants ADD COLUMN max_storage BIGINT;
ALTER TABLE tenants ADD COLUMN stored BIGINT NOT NULL DEFAULT 0;

UPDATE tenants SET stored = COALESCE((SELECT CAST(SUM(size) AS BIGINT) FROM records WHERE records.owner = tenants.id), 0);
