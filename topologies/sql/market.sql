-- market.sql: the products, the offers and the prices of the marketplace of the incidents.
CREATE TABLE products (
  id SERIAL PRIMARY KEY,
  title TEXT NOT NULL
);

CREATE TABLE offers (
  id SERIAL PRIMARY KEY,
  product SERIAL,
  percent INTEGER NOT NULL
);

CREATE TABLE prices (
  product SERIAL PRIMARY KEY,
  amount NUMERIC(10, 2) NOT NULL
);
