-- shop-catalogue.sql: the articles of the shop of the incidents.
CREATE TABLE articles (
  id SERIAL PRIMARY KEY,
  sku SERIAL,
  price NUMERIC(10, 2) NOT NULL,
  title TEXT NOT NULL
);

CREATE INDEX sku_idx ON articles (sku);
