-- Accounts: people with a role in each workspace, their sessions, second factors, keys and tokens for programs.

DROP TABLE links;
DROP TABLE sessions;

CREATE TABLE workspaces (
    workspace_id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO workspaces (workspace_id, name, created) VALUES ('main', 'Main', 0);

-- A person is known in the whole install; `workspace_id` is where a new session of theirs begins.
CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    email TEXT,
    name TEXT NOT NULL,
    -- An argon2id hash; NULL while somebody signs in by links or by single sign-on alone.
    password TEXT,
    -- The second factor's secret, sealed; the last time step that was used, so that no code works twice.
    totp TEXT,
    totp_step INTEGER NOT NULL DEFAULT 0,
    -- Hashes of the recovery codes that are left, as JSON.
    recovery TEXT NOT NULL DEFAULT '[]',
    issuer TEXT,
    subject TEXT,
    language TEXT NOT NULL DEFAULT '',
    theme TEXT NOT NULL DEFAULT '',
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX users_by_email ON users (email) WHERE email IS NOT NULL;
CREATE UNIQUE INDEX users_by_subject ON users (issuer, subject) WHERE subject IS NOT NULL;

CREATE TABLE members (
    workspace_id TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id),
    role TEXT NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX members_by_user ON members (user_id);

CREATE TABLE links (
    hash BLOB NOT NULL PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    -- `sign_in` opens a session; `invitation` also lets its person choose a password.
    kind TEXT NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    hash BLOB NOT NULL PRIMARY KEY,
    id TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    ip TEXT NOT NULL,
    agent TEXT NOT NULL,
    created INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_user ON sessions (user_id);

CREATE TABLE api_keys (
    hash BLOB NOT NULL PRIMARY KEY,
    id TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    -- The first characters, by which people tell their keys apart.
    hint TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created INTEGER NOT NULL,
    seen INTEGER,
    expires INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX api_keys_by_workspace ON api_keys (workspace_id, user_id);

-- Refresh tokens. Those of one sign-in are a family: one that comes twice ends them all.
CREATE TABLE refresh_tokens (
    hash BLOB NOT NULL PRIMARY KEY,
    family TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    -- The key by which they were asked for: they end with it.
    key_id TEXT,
    scopes TEXT NOT NULL,
    used INTEGER NOT NULL DEFAULT 0,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX refresh_tokens_by_family ON refresh_tokens (family);
