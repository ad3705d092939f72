-- Version 3. Decisions that differed from the one before: from `at` to `until` they were made in every round. `document` is the decision in
-- JSON, as `GET /v1/reports` gives it.

CREATE TABLE report (
    at       INTEGER PRIMARY KEY,
    until    INTEGER NOT NULL,
    -- The code of the reason that tells most.
    summary  TEXT NOT NULL,
    bytes    INTEGER NOT NULL,
    document TEXT NOT NULL
) STRICT;

-- For how much there is in all, without reading it.
CREATE INDEX report_bytes ON report (at, bytes);

CREATE VIEW reports AS
SELECT strftime('%Y-%m-%dT%H:%M:%SZ', at / 1000, 'unixepoch') AS first, strftime('%Y-%m-%dT%H:%M:%SZ', until / 1000, 'unixepoch') AS last,
       summary, bytes
FROM report;
