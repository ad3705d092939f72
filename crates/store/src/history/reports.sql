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

-- How much there is in all, without reading it: one row, kept by the triggers.
CREATE TABLE report_total (bytes INTEGER NOT NULL) STRICT;
INSERT INTO report_total VALUES (0);
CREATE TRIGGER report_comes AFTER INSERT ON report BEGIN
    UPDATE report_total SET bytes = bytes + NEW.bytes;
END;
CREATE TRIGGER report_goes AFTER DELETE ON report BEGIN
    UPDATE report_total SET bytes = bytes - OLD.bytes;
END;

CREATE VIEW reports AS
SELECT strftime('%Y-%m-%dT%H:%M:%SZ', at / 1000, 'unixepoch') AS first, strftime('%Y-%m-%dT%H:%M:%SZ', until / 1000, 'unixepoch') AS last,
       summary, bytes
FROM report;
