-- Licenses: products that an operator sells to a tenant, what of them is allocated to which application (group), what is activated.

CREATE TABLE license_products (
    pid TEXT PRIMARY KEY,
    owner BIGINT NOT NULL,
    name TEXT NOT NULL,
    product BIGINT NOT NULL,
    media_type BIGINT NOT NULL,
    minutes BIGINT NOT NULL,
    period TEXT NOT NULL,
    kind BIGINT NOT NULL,
    validity BIGINT NOT NULL,
    quantity BIGINT NOT NULL,
    allocated BIGINT NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX license_products_owner ON license_products (owner, created, pid);

CREATE TABLE license_allocations (
    id BIGINT PRIMARY KEY,
    pid TEXT NOT NULL,
    owner BIGINT NOT NULL,
    app TEXT NOT NULL,
    creator TEXT NOT NULL,
    quantity BIGINT NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX license_allocations_app ON license_allocations (pid, app, id);

-- The sum of the allocations of an application, and how many of them are activated: never more.
CREATE TABLE license_quotas (
    pid TEXT NOT NULL,
    app TEXT NOT NULL,
    allocated BIGINT NOT NULL,
    activated BIGINT NOT NULL,
    PRIMARY KEY (pid, app)
);

CREATE TABLE licenses (
    license TEXT PRIMARY KEY,
    pid TEXT NOT NULL,
    owner BIGINT NOT NULL,
    app TEXT NOT NULL,
    license_key TEXT NOT NULL,
    activated BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE UNIQUE INDEX licenses_key ON licenses (app, license_key, pid);
CREATE INDEX licenses_owner ON licenses (owner, activated, license);

CREATE TABLE license_renewals (
    renew_id TEXT PRIMARY KEY,
    pid TEXT NOT NULL,
    owner BIGINT NOT NULL,
    validity BIGINT NOT NULL,
    quantity BIGINT NOT NULL,
    used BIGINT NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX license_renewals_pid ON license_renewals (pid, created);

-- A renewal extends a license once.
CREATE TABLE license_renewed (
    renew_id TEXT NOT NULL,
    license TEXT NOT NULL,
    happened BIGINT NOT NULL,
    PRIMARY KEY (renew_id, license)
);
