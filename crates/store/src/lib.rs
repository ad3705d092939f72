//! History, ledger and state in embedded SQLite.
