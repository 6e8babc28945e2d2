-- orders.sql: the orders of storefront.toml.
CREATE TABLE orders (
  id UUID PRIMARY KEY,
  user_id TEXT NOT NULL,
  source TEXT NOT NULL,
  placed_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE INDEX orders_user_idx ON orders (user_id);
