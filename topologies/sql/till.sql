-- till.sql: what the shop of the incidents takes, and how much of it each day.
CREATE TABLE entries (
  id BIGSERIAL PRIMARY KEY,
  customer INTEGER NOT NULL,
  amount INTEGER NOT NULL,
  made_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE days (
  day INTEGER PRIMARY KEY,
  entries INTEGER NOT NULL DEFAULT 0
);

INSERT INTO days (day) VALUES (1);
