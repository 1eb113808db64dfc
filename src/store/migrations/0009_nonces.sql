-- Nonces of signed calls that servers with one PostgreSQL between them have taken. A SQLite store has one server, which keeps its
-- own: there this table stays empty. Times are unix seconds.
--
-- Not logged, so that a call costs no sync. A database that crashes comes back with the table empty; that the first row is missing
-- tells so. Its time is the floor: calls that were signed before it may have been taken already.
CREATE UNLOGGED TABLE nonces (
    access_key BIGINT NOT NULL,
    nonce BIGINT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (access_key, nonce)
);
CREATE INDEX nonces_until ON nonces (until);
INSERT INTO nonces (access_key, nonce, until) VALUES (0, 0, 0);
