-- club.sql: the members of the club of the incidents, and what they have visited.
CREATE TABLE members (
  id SERIAL PRIMARY KEY,
  level INTEGER NOT NULL,
  seen_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE visits (
  id BIGSERIAL PRIMARY KEY,
  customer SERIAL,
  article INTEGER NOT NULL
);

CREATE INDEX customer_idx ON visits (customer);
