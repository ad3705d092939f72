-- Version 2. What each VM is expected to want, in a form that the store does not look into; `at` is when it was kept.

CREATE TABLE demand (
    id      INTEGER PRIMARY KEY,
    vm      TEXT NOT NULL UNIQUE,
    at      INTEGER NOT NULL,
    profile BLOB NOT NULL
) STRICT;
