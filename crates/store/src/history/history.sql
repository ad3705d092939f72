-- Version 1. Times are milliseconds since 1970 (UTC).

CREATE TABLE entity (
    id         INTEGER PRIMARY KEY,
    kind       TEXT NOT NULL CHECK (kind IN ('host', 'vm')),
    name       TEXT NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    UNIQUE (kind, name)
) STRICT;

CREATE TABLE metric (
    number INTEGER PRIMARY KEY,
    name   TEXT NOT NULL,
    unit   TEXT NOT NULL,
    about  TEXT NOT NULL
) STRICT;

CREATE TABLE series (
    id     INTEGER PRIMARY KEY,
    entity INTEGER NOT NULL REFERENCES entity (id),
    metric INTEGER NOT NULL,
    UNIQUE (entity, metric)
) STRICT;

-- Rows of the journal at one time. `slabs` has a bit for each slab that has a row.
CREATE TABLE tick (
    no    INTEGER PRIMARY KEY,
    tier  INTEGER NOT NULL,
    at    INTEGER NOT NULL,
    slabs BLOB NOT NULL
) STRICT;
CREATE INDEX tick_at ON tick (tier, at);

-- What is not closed yet: id = tick * 2^20 + slab, codes = 16-bit numbers by point, stream, series.
CREATE TABLE journal (
    id    INTEGER PRIMARY KEY,
    codes BLOB NOT NULL
) STRICT;

-- What is closed: times = milliseconds after start, 32 bits each.
CREATE TABLE block (
    id      INTEGER PRIMARY KEY,
    tier    INTEGER NOT NULL,
    slab    INTEGER NOT NULL,
    start   INTEGER NOT NULL,
    times   BLOB NOT NULL,
    samples INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    UNIQUE (tier, slab, start)
) STRICT;
CREATE INDEX block_start ON block (tier, start);

-- id = block * 2^8 + pack; streams = for each series its streams, each with its length before it.
CREATE TABLE pack (
    id      INTEGER PRIMARY KEY,
    streams BLOB NOT NULL
) STRICT;

-- SELECT * FROM series_named WHERE name = 'h1';
CREATE VIEW series_named AS
SELECT s.id, e.kind, e.name, m.name AS metric, m.unit,
       strftime('%Y-%m-%dT%H:%M:%SZ', e.first_seen / 1000, 'unixepoch') AS first_seen,
       strftime('%Y-%m-%dT%H:%M:%SZ', e.last_seen / 1000, 'unixepoch') AS last_seen
FROM series AS s JOIN entity AS e ON e.id = s.entity JOIN metric AS m ON m.number = s.metric;

-- SELECT * FROM tiers;
CREATE VIEW tiers AS
SELECT CASE tier WHEN 0 THEN 'raw' WHEN 1 THEN 'five minutes' ELSE 'hour' END AS tier,
       count(*) AS blocks, sum(samples) AS samples, sum(bytes) AS bytes, round(1.0 * sum(bytes) / sum(samples), 3) AS bytes_per_sample,
       strftime('%Y-%m-%dT%H:%M:%SZ', min(start) / 1000, 'unixepoch') AS oldest
FROM block GROUP BY block.tier ORDER BY block.tier;
