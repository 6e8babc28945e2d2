-- catalogue.sql: the offers of sellers for products, and what customers have looked at. Each page and each profile is
-- made of fifty rows, more or less.
CREATE TABLE offers (
  id SERIAL PRIMARY KEY,
  product INTEGER NOT NULL,
  seller INTEGER NOT NULL,
  price INTEGER NOT NULL
);

CREATE TABLE visits (
  id SERIAL PRIMARY KEY,
  customer INTEGER NOT NULL,
  product INTEGER NOT NULL
);

INSERT INTO offers (product, seller, price)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
SELECT floor(random() * 400)::int + 1, floor(random() * 90)::int + 1, 500 + floor(random() * 9000)::int FROM n;

INSERT INTO visits (customer, product)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
SELECT floor(random() * 400)::int + 1, floor(random() * 400)::int + 1 FROM n;

CREATE INDEX offers_product_idx ON offers (product);
CREATE INDEX visits_customer_idx ON visits (customer);
