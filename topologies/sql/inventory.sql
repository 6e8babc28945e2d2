-- inventory.sql: what a shop has in stock, and what it has sold

CREATE TABLE stock (
  id SERIAL PRIMARY KEY,
  sku TEXT NOT NULL,
  available INTEGER NOT NULL
);
CREATE INDEX stock_sku_idx ON stock (sku);
