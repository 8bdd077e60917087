"""The tables and views of the run store; what they hold is told in store.py."""

VERSION = 3
SCHEMA = """
CREATE TABLE run (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    name TEXT NOT NULL, seed INTEGER NOT NULL, config TEXT NOT NULL, version TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('running', 'finished', 'failed', 'interrupted')),
    error TEXT, pid INTEGER NOT NULL, started REAL NOT NULL, ended REAL
) STRICT;
CREATE TABLE starts (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL,
    versions TEXT NOT NULL
) STRICT;
CREATE TABLE phases (
    name TEXT PRIMARY KEY, started REAL NOT NULL, seconds REAL, done INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('policy', 'start', 'baseline', 'search', 'final')),
    label TEXT NOT NULL, formula TEXT, key TEXT, seed INTEGER NOT NULL,
    context TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'done', 'failed', 'interrupted')),
    pass_at_1 REAL CHECK (pass_at_1 BETWEEN 0 AND 1),
    seconds REAL, worker INTEGER, result TEXT, error TEXT,
    cause TEXT CHECK (cause IN ('reward', 'machine')), queued REAL NOT NULL, ended REAL,
    CHECK (status != 'done' OR kind = 'policy' OR pass_at_1 IS NOT NULL),
    CHECK (status != 'failed' OR (error IS NOT NULL AND cause IS NOT NULL))
) STRICT;
CREATE TABLE proposals (
    id INTEGER PRIMARY KEY,
    step INTEGER NOT NULL, idx INTEGER NOT NULL,
    completion TEXT NOT NULL, formula TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('checked', 'failed', 'trained', 'reused', 'faulted')),
    stage TEXT, diagnostics TEXT NOT NULL, key TEXT, certificate TEXT,
    job INTEGER REFERENCES jobs (id),
    meta_reward REAL, proposed REAL NOT NULL,
    UNIQUE (step, idx),
    CHECK (status != 'failed' OR (stage IS NOT NULL AND IFNULL(meta_reward < 0, 0))),
    CHECK (status NOT IN ('trained', 'reused')
        OR (job IS NOT NULL AND IFNULL(meta_reward >= 0, 0)))
) STRICT;
CREATE TABLE updates (
    step INTEGER PRIMARY KEY, loss REAL, kl REAL, grad_norm REAL, seconds REAL
) STRICT;
CREATE TABLE probes (
    step INTEGER PRIMARY KEY, formulas INTEGER NOT NULL, valid INTEGER NOT NULL,
    monotone INTEGER NOT NULL, distinct_keys INTEGER NOT NULL
) STRICT;
CREATE TABLE checkpoints (
    step INTEGER PRIMARY KEY, path TEXT NOT NULL
) STRICT;
CREATE INDEX jobs_by_key ON jobs (key, seed, context);

CREATE VIEW steps AS
SELECT step,
    COUNT(*) AS formulas,
    AVG(status != 'failed') AS share_valid,
    SUM(status = 'failed') AS failed,
    SUM(status = 'trained') AS trained,
    SUM(status = 'reused') AS reused,
    AVG(meta_reward) AS mean_reward,
    MAX(meta_reward) AS best_reward,
    (SELECT formula FROM proposals AS p
     WHERE p.step = proposals.step AND p.status IN ('trained', 'reused')
     ORDER BY p.meta_reward DESC, p.id LIMIT 1) AS best_formula
FROM proposals GROUP BY step;

CREATE VIEW leaderboard AS
SELECT p.formula, p.key, p.step, p.idx, p.job,
    (SELECT AVG(k.pass_at_1) FROM jobs AS k
     WHERE k.key = j.key AND k.context = j.context AND k.status = 'done'
       AND k.kind IN ('baseline', 'search')) AS pass_at_1
FROM proposals AS p JOIN jobs AS j ON j.id = p.job
WHERE p.status IN ('trained', 'reused') AND j.status = 'done'
ORDER BY pass_at_1 DESC, p.id;
"""
