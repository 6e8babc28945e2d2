-- stock.sql: what is in stock, and what of it is reserved. checkout.toml adds the rows.
CREATE TABLE stock (
  id SERIAL PRIMARY KEY,
  sku TEXT NOT NULL,
  available INTEGER NOT NULL,
  reserved INTEGER NOT NULL DEFAULT 0 CHECK (reserved <= available)
);

CREATE INDEX stock_sku_idx ON stock (sku);
