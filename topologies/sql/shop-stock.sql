-- shop-stock.sql: what the shop of the incidents has of each article.
CREATE TABLE stock (
  id SERIAL PRIMARY KEY,
  sku SERIAL,
  available INTEGER NOT NULL,
  reserved INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX sku_idx ON stock (sku);
