-- platform.sql: what customers of the platform of the incidents search for, and what they have ordered.
CREATE TABLE documents (
  id SERIAL PRIMARY KEY,
  topic SERIAL,
  title TEXT NOT NULL
);

CREATE TABLE orders (
  id SERIAL PRIMARY KEY,
  customer SERIAL,
  total INTEGER NOT NULL
);
