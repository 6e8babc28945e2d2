-- shop-orders.sql: the orders of the shop of the incidents, and what was ordered.
CREATE TABLE orders (
  id BIGSERIAL PRIMARY KEY,
  customer INTEGER NOT NULL,
  total NUMERIC(10, 2) NOT NULL,
  placed_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE order_lines (
  id BIGSERIAL PRIMARY KEY,
  sku SERIAL,
  quantity INTEGER NOT NULL
);

CREATE INDEX sku_idx ON order_lines (sku);
