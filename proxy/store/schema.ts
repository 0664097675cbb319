/** One step from each version of the shared store's schema to the next. Never edit one: add one. */
export const postgresMigrations: readonly string[] = [
  `CREATE TABLE sallyport.approvals (
     id text PRIMARY KEY, digest text NOT NULL, shape text, grants text NOT NULL,
     issuer text NOT NULL, subject text NOT NULL, state text NOT NULL,
     expires_at_ms bigint NOT NULL, running integer NOT NULL, document text NOT NULL
   );
   CREATE UNIQUE INDEX approvals_pending ON sallyport.approvals (digest, grants) WHERE state = 'pending';
   CREATE INDEX approvals_digest ON sallyport.approvals (digest);
   CREATE INDEX approvals_shape ON sallyport.approvals (shape) WHERE shape IS NOT NULL;
   CREATE INDEX approvals_subject ON sallyport.approvals (issuer, subject) WHERE state = 'pending';
   CREATE INDEX approvals_state ON sallyport.approvals (state, expires_at_ms);
   CREATE INDEX approvals_running ON sallyport.approvals (id) WHERE running = 1;
   CREATE TABLE sallyport.notices (
     approval text NOT NULL, state text NOT NULL, channel text NOT NULL, due_ms bigint NOT NULL,
     attempts integer NOT NULL DEFAULT 0, PRIMARY KEY (approval, state, channel)
   );
   CREATE INDEX notices_due ON sallyport.notices (due_ms);
   CREATE TABLE sallyport.gateways (id text PRIMARY KEY, seen_at timestamptz NOT NULL);`,
];

/** The same for the embedded store; `user_version` counts them. */
export const embeddedMigrations: readonly string[] = [
  `CREATE TABLE approvals (
     id TEXT PRIMARY KEY, digest TEXT NOT NULL, shape TEXT, grants TEXT NOT NULL,
     issuer TEXT NOT NULL, subject TEXT NOT NULL, state TEXT NOT NULL,
     expires_at_ms INTEGER NOT NULL, running INTEGER NOT NULL, document TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE UNIQUE INDEX approvals_pending ON approvals (digest, grants) WHERE state = 'pending';
   CREATE INDEX approvals_digest ON approvals (digest);
   CREATE INDEX approvals_shape ON approvals (shape) WHERE shape IS NOT NULL;
   CREATE INDEX approvals_subject ON approvals (issuer, subject) WHERE state = 'pending';
   CREATE INDEX approvals_state ON approvals (state, expires_at_ms);
   CREATE INDEX approvals_running ON approvals (id) WHERE running = 1;
   CREATE TABLE notices (
     approval TEXT NOT NULL, state TEXT NOT NULL, channel TEXT NOT NULL, due_ms INTEGER NOT NULL,
     attempts INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (approval, state, channel)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX notices_due ON notices (due_ms);`,
];
