-- sales.sql: the orders of the club of the incidents, and their lines.
CREATE TABLE orders (
  id BIGSERIAL PRIMARY KEY,
  member INTEGER NOT NULL,
  total NUMERIC(10, 2) NOT NULL,
  placed_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE order_lines (
  id BIGSERIAL PRIMARY KEY,
  customer SERIAL,
  article INTEGER NOT NULL
);

CREATE INDEX customer_idx ON order_lines (customer);
