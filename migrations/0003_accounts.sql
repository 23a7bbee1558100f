-- One-time sign-in links and the sessions that they open, by the hashes of their secrets.

CREATE TABLE links (
    workspace_id TEXT NOT NULL,
    hash BLOB NOT NULL PRIMARY KEY,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    workspace_id TEXT NOT NULL,
    hash BLOB NOT NULL PRIMARY KEY,
    created INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
