-- The members of the club, the courts, and who has booked which court for which hour.
CREATE TABLE members (
  id SERIAL PRIMARY KEY,
  level INTEGER NOT NULL,
  seen_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE courts (
  id SERIAL PRIMARY KEY,
  sport TEXT NOT NULL
);

CREATE TABLE bookings (
  id BIGSERIAL PRIMARY KEY,
  member INTEGER NOT NULL,
  court INTEGER NOT NULL,
  hour INTEGER NOT NULL
);

CREATE INDEX bookings_court_hour_idx ON bookings (court, hour);

INSERT INTO members (level)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
SELECT floor(random() * 4)::int + 1 FROM n;

INSERT INTO courts (sport)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12)
SELECT 'tennis' FROM n;

INSERT INTO bookings (member, court, hour)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1600)
SELECT floor(random() * 3000)::int + 1, floor(random() * 12)::int + 1, floor(random() * 14000)::int + 1 FROM n;

-- The members 1, 2 and 3 are leagues.
INSERT INTO bookings (member, court, hour)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2400)
SELECT floor(random() * 3)::int + 1, floor(random() * 12)::int + 1, floor(random() * 14000)::int + 1 FROM n;
