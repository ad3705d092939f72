-- Version 1. Times are milliseconds since 1970 (UTC); the views show them as text.

CREATE TABLE host (
    name     TEXT PRIMARY KEY,
    uri      TEXT NOT NULL UNIQUE,
    service  TEXT NOT NULL CHECK (service IN ('in_service', 'maintenance')),
    added_at INTEGER NOT NULL
) STRICT;

-- Values are JSON.
CREATE TABLE setting (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE plan (
    id         TEXT PRIMARY KEY,
    made_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    steps      INTEGER NOT NULL,
    json       TEXT NOT NULL
) STRICT;
CREATE INDEX plan_made_at ON plan (made_at);

-- Entries are only ever added, numbered 1, 2, 3 … without gaps.
CREATE TABLE ledger (
    seq       INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,
    event     TEXT NOT NULL,
    plan      TEXT,
    step      INTEGER,
    vm        TEXT,
    vm_name   TEXT,
    from_host TEXT,
    to_host   TEXT,
    host      TEXT,
    -- In a sentence, for people.
    says      TEXT NOT NULL,
    -- The event whole, for programs.
    json      TEXT NOT NULL
) STRICT;
CREATE INDEX ledger_at ON ledger (at);
CREATE INDEX ledger_event ON ledger (event, seq);
CREATE INDEX ledger_move ON ledger (plan, step, vm, seq) WHERE plan IS NOT NULL;
CREATE INDEX ledger_vm ON ledger (vm, seq) WHERE vm IS NOT NULL;
CREATE INDEX ledger_vm_name ON ledger (vm_name, seq) WHERE vm_name IS NOT NULL;
CREATE INDEX ledger_from ON ledger (from_host, seq) WHERE from_host IS NOT NULL;
CREATE INDEX ledger_to ON ledger (to_host, seq) WHERE to_host IS NOT NULL;
CREATE INDEX ledger_host ON ledger (host, seq) WHERE host IS NOT NULL;

CREATE TRIGGER ledger_keeps_its_entries BEFORE DELETE ON ledger
BEGIN SELECT raise(ABORT, 'the ledger keeps its entries'); END;
CREATE TRIGGER ledger_does_not_change BEFORE UPDATE ON ledger
BEGIN SELECT raise(ABORT, 'entries of the ledger do not change'); END;
CREATE TRIGGER ledger_has_no_gaps BEFORE INSERT ON ledger
WHEN new.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM ledger)
BEGIN SELECT raise(ABORT, 'the ledger has no gaps'); END;

-- Derived from the ledger, in the same transactions: moves that were intended and whose end is not settled.
CREATE TABLE open_move (
    plan TEXT NOT NULL,
    step INTEGER NOT NULL,
    vm   TEXT NOT NULL,
    seq  INTEGER NOT NULL,
    PRIMARY KEY (plan, step, vm)
) STRICT, WITHOUT ROWID;

-- Derived from the ledger, in the same transactions: what came of each VM's moves.
CREATE TABLE vm_moves (
    vm              TEXT PRIMARY KEY,
    moved_at        INTEGER,
    moved_to        TEXT,
    failed_at       INTEGER,
    failures_in_row INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The ledger for people: SELECT * FROM entries ORDER BY seq DESC LIMIT 20;
CREATE VIEW entries AS
SELECT seq, strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch') AS time, event, vm_name, from_host, to_host, host, says
FROM ledger;

-- One line per move: SELECT * FROM moves ORDER BY intended DESC LIMIT 20;
CREATE VIEW moves AS
SELECT i.seq, strftime('%Y-%m-%dT%H:%M:%fZ', i.at / 1000.0, 'unixepoch') AS intended,
       strftime('%Y-%m-%dT%H:%M:%fZ', e.at / 1000.0, 'unixepoch') AS ended,
       i.vm_name, i.from_host, i.to_host,
       CASE e.event
           WHEN 'move_refused' THEN 'refused'
           WHEN 'move_reconciled' THEN coalesce(json_extract(e.json, '$.found.outcome.outcome'), json_extract(e.json, '$.found.found'))
           ELSE coalesce(json_extract(e.json, '$.outcome.outcome'), 'open')
       END AS outcome,
       json_extract(e.json, '$.cost.took_ms') AS took_ms,
       json_extract(e.json, '$.cost.downtime_ms') AS downtime_ms,
       json_extract(e.json, '$.cost.sent') AS sent_bytes,
       json_extract(i.json, '$.because.code') AS because,
       i.vm, i.plan, i.step
FROM ledger AS i
LEFT JOIN ledger AS e ON e.seq = (
    SELECT max(l.seq) FROM ledger AS l
    WHERE l.plan = i.plan AND l.step = i.step AND l.vm = i.vm AND l.seq > i.seq
      AND l.event IN ('move_refused', 'move_ended', 'move_reconciled'))
WHERE i.event = 'move_intended';

-- Hosts for people.
CREATE VIEW hosts AS
SELECT name, uri, service, strftime('%Y-%m-%dT%H:%M:%SZ', added_at / 1000, 'unixepoch') AS added FROM host;
