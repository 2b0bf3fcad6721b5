"""The tables. Instants are integers (microseconds in UTC), structured values are JSON, indexes serve listings only.

Never edit a released step, because files of every version exist. A change is a new step at the end.
"""

_FIRST = """
CREATE TABLE users (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    folded TEXT NOT NULL,             -- the name without case, for searching
    admin INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    last_activity_at INTEGER,
    user_info TEXT,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE groups (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    properties TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE members (
    group_id TEXT NOT NULL REFERENCES groups ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    PRIMARY KEY (group_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_user ON members (user_id, group_id);

CREATE TABLE servers (
    id TEXT PRIMARY KEY,
    owner_id TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    launch_id TEXT,
    revision INTEGER NOT NULL,
    entered_at INTEGER NOT NULL,
    last_activity_at INTEGER,
    facts TEXT NOT NULL,              -- all that no query asks for
    UNIQUE (owner_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX active_servers ON servers (state, entered_at) WHERE state NOT IN ('stopped', 'failed');

CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    owner_kind TEXT NOT NULL,
    owner_id TEXT NOT NULL,           -- a user's id or a service's name
    user_id TEXT REFERENCES users ON DELETE CASCADE,
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    note TEXT NOT NULL,
    expires_at INTEGER,
    last_activity_at INTEGER,
    session_id TEXT,
    client_id TEXT,
    server_id TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_by_owner ON tokens (owner_id, owner_kind, id);
CREATE INDEX tokens_by_session ON tokens (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX tokens_by_client ON tokens (client_id) WHERE client_id IS NOT NULL;
CREATE INDEX tokens_by_server ON tokens (server_id) WHERE server_id IS NOT NULL;
CREATE INDEX tokens_by_expiry ON tokens (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE clients (
    id TEXT PRIMARY KEY,
    launch_id TEXT,
    owner_id TEXT REFERENCES users ON DELETE CASCADE,
    facts TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE codes (
    sha256 TEXT PRIMARY KEY,
    client_id TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    session_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    facts TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    agent TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user_id, created_at);

CREATE TABLE passwords (
    user_id TEXT PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    hash TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE password_links (
    sha256 TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts (key TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE INDEX attempts_by_key ON attempts (key, at);

CREATE TABLE routes (
    prefix TEXT PRIMARY KEY,
    address TEXT NOT NULL,
    launch_id TEXT NOT NULL,
    sequence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE route_changes (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    prefix TEXT NOT NULL,
    address TEXT
) STRICT;

CREATE TABLE edges (
    id TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    server_id TEXT NOT NULL,
    launch_id TEXT NOT NULL,
    visible_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX queue_by_time ON queue (visible_at);

CREATE TABLE usage (
    launch_id TEXT PRIMARY KEY,
    owner_id TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    facts TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_by_owner ON usage (owner_id, started_at);
"""

_SHARES_AND_SERVICES = """
CREATE TABLE shares (
    id TEXT PRIMARY KEY,
    server_id TEXT NOT NULL REFERENCES servers ON DELETE CASCADE,
    user_id TEXT REFERENCES users ON DELETE CASCADE,
    group_id TEXT REFERENCES groups ON DELETE CASCADE,
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (server_id, user_id),
    UNIQUE (server_id, group_id),
    CHECK ((user_id IS NULL) != (group_id IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX shares_by_user ON shares (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX shares_by_group ON shares (group_id) WHERE group_id IS NOT NULL;

CREATE TABLE share_codes (
    id TEXT PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    server_id TEXT NOT NULL REFERENCES servers ON DELETE CASCADE,
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    exchange_count INTEGER NOT NULL,
    last_exchanged_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX share_codes_by_server ON share_codes (server_id);
CREATE INDEX share_codes_by_expiry ON share_codes (expires_at);

CREATE TABLE services (
    name TEXT PRIMARY KEY,
    client_id TEXT UNIQUE,
    token_sha256 TEXT UNIQUE,
    facts TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""

# Trigrams (FTS5) find parts of three characters or more; shorter ones need a scan of the index.
_SEARCHING = """
CREATE INDEX users_by_folded ON users (folded);
CREATE VIRTUAL TABLE trigrams USING fts5(folded, user_id UNINDEXED, tokenize = 'trigram case_sensitive 1');
INSERT INTO trigrams (folded, user_id) SELECT folded, id FROM users;
CREATE TRIGGER user_added AFTER INSERT ON users
    BEGIN INSERT INTO trigrams (folded, user_id) VALUES (new.folded, new.id); END;
CREATE TRIGGER user_renamed AFTER UPDATE OF folded ON users WHEN old.folded != new.folded
    BEGIN UPDATE trigrams SET folded = new.folded WHERE user_id = old.id; END;
CREATE TRIGGER user_removed AFTER DELETE ON users
    BEGIN DELETE FROM trigrams WHERE user_id = old.id; END;
"""

# Filters of tokens store ids; existing ones get the ids that have the names at this step.
_HOLDS = """
ALTER TABLE tokens ADD COLUMN holds TEXT NOT NULL DEFAULT '{}';
UPDATE tokens SET holds = (SELECT json_group_object(filter, id) FROM (
    SELECT filter, CASE
        WHEN filter GLOB 'user=*' THEN (SELECT u.id FROM users u WHERE u.name = substr(filter, 6))
        WHEN filter GLOB 'group=*' THEN (SELECT g.id FROM groups g WHERE g.name = substr(filter, 7))
        WHEN filter GLOB 'server=*/*' THEN (
            SELECT coalesce(s.id, u.id || substr(filter, instr(filter, '/')))
            FROM users u LEFT JOIN servers s ON s.owner_id = u.id AND s.name = substr(filter, instr(filter, '/') + 1)
            WHERE u.name = substr(filter, 8, instr(filter, '/') - 8))
    END AS id FROM (SELECT DISTINCT substr(value, instr(value, '!') + 1) AS filter FROM json_each(tokens.scopes)))
    WHERE id IS NOT NULL);
"""

# Edges report activity by server; existing routes get their server and owner.
_WHOSE_ROUTES = """
ALTER TABLE routes ADD COLUMN server_id TEXT;
ALTER TABLE routes ADD COLUMN owner_id TEXT;
ALTER TABLE route_changes ADD COLUMN server_id TEXT;
ALTER TABLE route_changes ADD COLUMN owner_id TEXT;
UPDATE routes SET (server_id, owner_id) =
    (SELECT s.id, s.owner_id FROM servers s WHERE s.launch_id = routes.launch_id);
"""

# Where the next sweep resumes after one that reached its time limit.
_SWEEP = """
CREATE TABLE sweep (place TEXT NOT NULL) STRICT;
INSERT INTO sweep VALUES ('');
"""

# The desired state of the edge; initially running.
_EDGE_DESIRED_STATE = """
CREATE TABLE edge_wish (wanted TEXT NOT NULL, since INTEGER NOT NULL) STRICT;
INSERT INTO edge_wish VALUES ('up', 0);
"""

# What processes may do so many times at once, until an instant.
_LEASES = """
CREATE TABLE leases (
    key TEXT NOT NULL,
    id TEXT NOT NULL,
    ends_at INTEGER NOT NULL,
    PRIMARY KEY (key, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX leases_by_end ON leases (ends_at);
"""

# A uid belongs to its first owner for ever: there is no reference to users, who can be removed.
_OWNER_UIDS = """
CREATE TABLE owner_uids (owner_id TEXT PRIMARY KEY, uid INTEGER NOT NULL UNIQUE) STRICT, WITHOUT ROWID;
"""

# A user has one valid link: the newest. Links store how much its maker could give.
_LIMITED_LINKS = """
ALTER TABLE password_links ADD COLUMN within TEXT;
DELETE FROM password_links WHERE EXISTS (
    SELECT 1 FROM password_links newer WHERE newer.user_id = password_links.user_id
        AND (newer.expires_at, newer.sha256) > (password_links.expires_at, password_links.sha256));
CREATE INDEX password_links_by_user ON password_links (user_id);
"""

# Users who had names that look alike before this step keep them; `skeleton_of` is `names.skeleton`.
_SKELETONS = """
ALTER TABLE users ADD COLUMN skeleton TEXT NOT NULL DEFAULT '';
UPDATE users SET skeleton = skeleton_of(name);
CREATE INDEX users_by_skeleton ON users (skeleton);
"""

# The last measurement of each user's home.
_HOME_USAGE = """
CREATE TABLE home_usage (
    owner_id TEXT PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    size INTEGER NOT NULL,
    is_whole INTEGER NOT NULL,
    measured_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""

# Consent looks at what one user granted to one client.
_TOKENS_BY_CLIENT_AND_USER = """
DROP INDEX tokens_by_client;
CREATE INDEX tokens_by_client ON tokens (client_id, user_id, id) WHERE client_id IS NOT NULL;
"""

# LTI: the hub's sealed keys, platforms that registered themselves, and courses with their groups.
_LTI = """
CREATE TABLE lti_keys (
    only INTEGER PRIMARY KEY CHECK (only = 1), sealed TEXT NOT NULL, revision INTEGER NOT NULL
) STRICT;
CREATE TABLE lti_platforms (
    name TEXT PRIMARY KEY,
    issuer TEXT NOT NULL,
    client_id TEXT NOT NULL,
    facts TEXT NOT NULL,
    UNIQUE (issuer, client_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE lti_courses (
    key TEXT PRIMARY KEY,
    group_name TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    facts TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""

# Second factors: a record a user, and what every reader of the user knows of it.
_SECOND_FACTORS = """
ALTER TABLE users ADD COLUMN factors TEXT NOT NULL DEFAULT '';
CREATE TABLE second_factors (
    user_id TEXT PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    revision INTEGER NOT NULL,
    facts TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""

# Who somebody is at a provider; logins that wait for an answer; what may be used once only; what providers said.
_EXTERNAL_LOGINS = """
CREATE TABLE identities (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    provider TEXT NOT NULL,
    label TEXT NOT NULL,
    linked_at INTEGER NOT NULL,
    PRIMARY KEY (issuer, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX identities_by_user ON identities (user_id);

CREATE TABLE pending_logins (
    state_sha256 TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    facts TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX pending_logins_by_expiry ON pending_logins (expires_at);

CREATE TABLE used (digest TEXT PRIMARY KEY, until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX used_by_end ON used (until);

CREATE TABLE auth_states (
    user_id TEXT PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    sealed TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""

# Sessions that a provider's login began, which end with the provider's own.
_PROVIDERS_OF_SESSIONS = """
ALTER TABLE sessions ADD COLUMN provider TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN provider_session TEXT NOT NULL DEFAULT '';
"""

# Users' e-mail addresses, sign-ups that wait, uses of join codes, and messages with a text.
_SIGN_UPS = """
CREATE TABLE email_addresses (
    user_id TEXT PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    address TEXT NOT NULL,
    folded TEXT NOT NULL,             -- the address in lower case
    pending TEXT NOT NULL,
    pending_sha256 TEXT NOT NULL,
    pending_until INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX email_addresses_by_address ON email_addresses (folded) WHERE folded != '';

CREATE TABLE sign_ups (
    skeleton TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    facts TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sign_ups_by_expiry ON sign_ups (expires_at);

CREATE TABLE join_codes (sha256 TEXT PRIMARY KEY, uses INTEGER NOT NULL) STRICT, WITHOUT ROWID;

ALTER TABLE queue ADD COLUMN text TEXT NOT NULL DEFAULT '';
"""

# Whether an admin let a person in. A user who once had an identity stays so when the link has ended.
_WHO_LET_IN = """
ALTER TABLE identities ADD COLUMN by_admin INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN identified INTEGER NOT NULL DEFAULT 0;
"""

# The counts of histograms, which all processes add to.
_HISTOGRAMS = """
CREATE TABLE histograms (
    name TEXT NOT NULL,
    labels TEXT NOT NULL,             -- their values, as JSON
    bucket INTEGER NOT NULL,
    count INTEGER NOT NULL,
    microseconds INTEGER NOT NULL,    -- the sum of the durations
    PRIMARY KEY (name, labels, bucket)
) STRICT, WITHOUT ROWID;
"""

# The first characters of secrets that another hub hashed, by which candidates are found until the first use.
_IMPORTED_SECRETS = """
ALTER TABLE tokens ADD COLUMN imported_prefix TEXT;
CREATE INDEX tokens_by_prefix ON tokens (imported_prefix) WHERE imported_prefix IS NOT NULL;
ALTER TABLE share_codes ADD COLUMN imported_prefix TEXT;
CREATE INDEX share_codes_by_prefix ON share_codes (imported_prefix) WHERE imported_prefix IS NOT NULL;
"""

# What was imported from other hubs, by digests.
_IMPORT_MARKS = """
CREATE TABLE import_marks (
    origin TEXT NOT NULL,
    place TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (origin, place)
) STRICT, WITHOUT ROWID;
"""

# The first login at a provider that an imported user awaits, as JSON.
_AWAITED_LOGINS = """
ALTER TABLE users ADD COLUMN awaited TEXT;
"""

# From which hash a login made the stored one: digests of both.
_REHASHED_PASSWORDS = """
ALTER TABLE passwords ADD COLUMN rehashed TEXT;
"""

# How often a share code may be used, and who logged in at somebody else's server.
_VISITS = """
ALTER TABLE share_codes ADD COLUMN max_uses INTEGER NOT NULL DEFAULT 0;
CREATE TABLE visits (
    owner_id TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    by_role INTEGER NOT NULL,
    server_id TEXT NOT NULL,          -- it outlives the server
    visitor_id TEXT NOT NULL,         -- and the visitor
    server_name TEXT NOT NULL,
    visitor_name TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (owner_id, by_role, server_id, visitor_id)
) STRICT, WITHOUT ROWID;
"""

# From where browsers logged in, and who used a token last.
_ADDRESSES = """
ALTER TABLE sessions ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN last_address TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN last_agent TEXT NOT NULL DEFAULT '';
"""

# Until when a launch's record is kept, and the totals of days and months, which outlive launches and users.
_USAGE_TOTALS = """
ALTER TABLE usage ADD COLUMN expires_at INTEGER;
CREATE INDEX usage_by_expiry ON usage (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE usage_totals (
    of TEXT NOT NULL,                 -- hub, profile, group or user
    period TEXT NOT NULL,             -- a day or a month
    subject TEXT NOT NULL,
    launches INTEGER NOT NULL,
    seconds INTEGER NOT NULL,
    cpu_millis INTEGER NOT NULL,
    mib_seconds INTEGER NOT NULL,
    gpu_seconds INTEGER NOT NULL,
    cost_micros INTEGER NOT NULL,
    PRIMARY KEY (of, period, subject)
) STRICT, WITHOUT ROWID;
"""

# The orders of the table of users: a rank of each user's servers (domain/user_table.py), and when one started last.
_USER_TABLE = """
ALTER TABLE users ADD COLUMN standing INTEGER NOT NULL DEFAULT 8;
ALTER TABLE users ADD COLUMN started_at INTEGER NOT NULL DEFAULT -1;
CREATE TRIGGER server_added AFTER INSERT ON servers
    BEGIN UPDATE users SET (standing, started_at) = (@STANDING@) WHERE id = new.owner_id; END;
CREATE TRIGGER server_changed AFTER UPDATE OF state ON servers WHEN old.state != new.state
    BEGIN UPDATE users SET (standing, started_at) = (@STANDING@) WHERE id = new.owner_id; END;
CREATE TRIGGER server_removed AFTER DELETE ON servers
    BEGIN UPDATE users SET (standing, started_at) = (@STANDING@) WHERE id = old.owner_id; END;
UPDATE users SET (standing, started_at) = (@STANDING@) WHERE id IN (SELECT owner_id FROM servers);
CREATE INDEX users_by_activity ON users (coalesce(last_activity_at, -1), name);
CREATE INDEX users_by_start ON users (started_at, name);
CREATE INDEX users_by_standing ON users (standing, name);
CREATE INDEX admins ON users (id) WHERE admin = 1;
CREATE INDEX failed_servers ON servers (owner_id) WHERE state = 'failed';
""".replace(
    "@STANDING@",
    """SELECT coalesce(min(CASE s.state WHEN 'failed' THEN 0 WHEN 'requested' THEN 1 WHEN 'preparing' THEN 2
        WHEN 'launching' THEN 3 WHEN 'starting' THEN 4 WHEN 'stopping' THEN 5 WHEN 'ready' THEN 6 ELSE 7 END), 8),
        coalesce(max(CASE s.state WHEN 'ready' THEN json_extract(s.facts, '$.started_at') END), -1)
        FROM servers s WHERE s.owner_id = users.id""",
)

# How long the latest launches of a profile took: pairs of when, and how long, both in microseconds.
_LAUNCH_TIMES = """
CREATE TABLE launch_times (
    profile TEXT PRIMARY KEY,
    times TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""

# People whom somebody adds together.
_PEOPLE_BATCHES = """
CREATE TABLE people_batches (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    sealed TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX people_batches_by_expiry ON people_batches (expires_at);
"""

# Who did what to whom: a search by name or by act reads an index in the records' order.
_AUDIT = """
CREATE TABLE audit (
    at INTEGER NOT NULL,
    id TEXT NOT NULL,
    act TEXT NOT NULL,
    by_kind TEXT NOT NULL,
    by_name TEXT NOT NULL,
    address TEXT NOT NULL,
    token_id TEXT NOT NULL,
    "on" TEXT NOT NULL,
    about TEXT NOT NULL,              -- JSON
    count INTEGER NOT NULL,
    others INTEGER NOT NULL,
    PRIMARY KEY (at, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_by ON audit (by_name, at, id);
CREATE INDEX audit_on ON audit ("on", at, id);
CREATE INDEX audit_acts ON audit (act, at, id);
"""

# When each service was last seen, of settings and added ones, in microseconds.
_SERVICES_SEEN = """
CREATE TABLE services_seen (
    name TEXT PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""

# Who waits for a place in a full hub.
_WAITING = """
CREATE TABLE waiting (
    owner_id TEXT PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    since INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX waiting_line ON waiting (since, owner_id);
"""

# By which budgets are kept.
_LEDGERS = """
CREATE TABLE ledgers (
    key TEXT PRIMARY KEY,
    facts TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE budgets (
    name TEXT PRIMARY KEY,
    facts TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""

# Schedules that admins made.
_SCHEDULES = """
CREATE TABLE schedules (
    name TEXT PRIMARY KEY,
    facts TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""

# Join links that admins made.
_JOIN_LINKS = """
CREATE TABLE join_links (
    sha256 TEXT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    made_by TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    places INTEGER NOT NULL,
    group_name TEXT NOT NULL,
    needs_approval INTEGER NOT NULL,
    used INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX join_links_by_expiry ON join_links (expires_at);
"""

# SQLite seeks a pair of columns in an index, and walks it for an expression.
_ACTIVE_AT = """
ALTER TABLE users ADD COLUMN active_at INTEGER GENERATED ALWAYS AS (coalesce(last_activity_at, -1)) VIRTUAL;
DROP INDEX users_by_activity;
CREATE INDEX users_by_activity ON users (active_at, name);
"""

# Homes of users who were removed. Rows have no reference to users: they outlive them.
_ORPHANED_HOMES = """
CREATE TABLE orphaned_homes (
    owner_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,               -- that the user had; empty if nobody noted it
    removed_at INTEGER,
    size INTEGER,                     -- bytes on disk
    is_whole INTEGER NOT NULL DEFAULT 1,
    measured_at INTEGER,
    task TEXT NOT NULL DEFAULT '',    -- what is being done with it
    receiver_id TEXT NOT NULL DEFAULT '',
    progress INTEGER NOT NULL DEFAULT 0,
    failure TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
"""

# When the hub was up, as JSON; empty before the first note.
_UPTIMES = """
ALTER TABLE sweep ADD COLUMN uptimes TEXT NOT NULL DEFAULT '';
"""

# What admins announce at run time, and the maintenance: one row while it is on.
_BULLETIN = """
CREATE TABLE announcements (
    id TEXT PRIMARY KEY,
    text TEXT NOT NULL,
    kind TEXT NOT NULL,
    starts_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    made_by TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    groups TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE maintenance (
    facts TEXT NOT NULL
) STRICT;
"""

# Since when a home has been larger than its limit.
_OVERRUNS = """
ALTER TABLE home_usage ADD COLUMN over_since INTEGER;
"""

# Of which run of the hub the file is: a file that was restored names an earlier one.
_EPOCH = """
CREATE TABLE epoch (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch TEXT NOT NULL
) STRICT;
"""

# What admins write about users.
_USER_NOTES = """
CREATE TABLE user_notes (
    user_id TEXT PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    text TEXT NOT NULL,
    revision INTEGER NOT NULL,
    written_by TEXT NOT NULL,         -- a name
    written_at INTEGER
) STRICT, WITHOUT ROWID;
"""

# By which version of the rule the names of all users were checked.
_CHECKED_NAMES = """
CREATE TABLE checked_names (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    rule INTEGER NOT NULL
) STRICT;
"""

# What admins send to people, and who has it.
_LETTERS = """
CREATE TABLE letters (
    id TEXT PRIMARY KEY,
    subject TEXT NOT NULL,
    text TEXT NOT NULL,
    sent_by TEXT NOT NULL,            -- a name
    sent_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    sender TEXT NOT NULL,             -- kind and id; empty for an operator
    by_mail INTEGER NOT NULL,
    reached INTEGER NOT NULL,
    read INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX letters_by_expiry ON letters (expires_at);
CREATE TABLE deliveries (
    user_id TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    letter_id TEXT NOT NULL REFERENCES letters ON DELETE CASCADE,
    read_at INTEGER,
    is_put_away INTEGER NOT NULL DEFAULT 0,
    mailed_at INTEGER,
    PRIMARY KEY (user_id, letter_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_by_letter ON deliveries (letter_id);
CREATE INDEX unread_deliveries ON deliveries (user_id, letter_id) WHERE read_at IS NULL;
"""

# The digest of a letter that was taken back. Its subject and its text are empty.
_ERASED_LETTERS = """
ALTER TABLE letters ADD COLUMN erased TEXT NOT NULL DEFAULT '';
"""

# How large homes may be, as admins say while the hub runs; NULL is no limit.
_HOME_LIMITS = """
CREATE TABLE user_home_limits (
    id TEXT PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    size INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE group_home_limits (
    id TEXT PRIMARY KEY REFERENCES groups ON DELETE CASCADE,
    size INTEGER
) STRICT, WITHOUT ROWID;
"""

STEPS = (
    _FIRST,
    _SHARES_AND_SERVICES,
    _SEARCHING,
    _HOLDS,
    _WHOSE_ROUTES,
    _SWEEP,
    _EDGE_DESIRED_STATE,
    _LEASES,
    _OWNER_UIDS,
    _LIMITED_LINKS,
    _SKELETONS,
    _HOME_USAGE,
    _TOKENS_BY_CLIENT_AND_USER,
    _LTI,
    _SECOND_FACTORS,
    _EXTERNAL_LOGINS,
    _PROVIDERS_OF_SESSIONS,
    _SIGN_UPS,
    _WHO_LET_IN,
    _HISTOGRAMS,
    _IMPORTED_SECRETS,
    _IMPORT_MARKS,
    _AWAITED_LOGINS,
    _REHASHED_PASSWORDS,
    _VISITS,
    _ADDRESSES,
    _USAGE_TOTALS,
    _USER_TABLE,
    _LAUNCH_TIMES,
    _PEOPLE_BATCHES,
    _AUDIT,
    _SERVICES_SEEN,
    _WAITING,
    _LEDGERS,
    _JOIN_LINKS,
    _ACTIVE_AT,
    _ORPHANED_HOMES,
    _SCHEDULES,
    _UPTIMES,
    _BULLETIN,
    _OVERRUNS,
    _EPOCH,
    _USER_NOTES,
    _CHECKED_NAMES,
    _LETTERS,
    _HOME_LIMITS,
    _ERASED_LETTERS,
)
VERSION = len(STEPS)  # of a file with all steps
