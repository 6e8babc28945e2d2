-- The products of the marketplace, and what they cost.
CREATE TABLE products (
  id SERIAL PRIMARY KEY,
  title TEXT NOT NULL
);

CREATE TABLE prices (
  product SERIAL PRIMARY KEY,
  amount NUMERIC(10, 2) NOT NULL
);
