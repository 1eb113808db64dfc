-- The parts of a deposit that its bucket has: an upload goes on where it was, also after a restart.
CREATE TABLE deposit_parts (
    deposit BIGINT NOT NULL,
    -- Counted from 0.
    n BIGINT NOT NULL,
    -- What the bucket calls it.
    tag TEXT NOT NULL,
    -- MD5, hexadecimal.
    sum TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (deposit, n)
);
