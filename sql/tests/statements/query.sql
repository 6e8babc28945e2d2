CREATE TABLE stock (
  id SERIAL PRIMARY KEY,
  sku TEXT NOT NULL UNIQUE,
  region VARCHAR(8) NOT NULL,
  available INTEGER NOT NULL CHECK (available >= 0),
  price NUMERIC(10,2),
  active BOOLEAN NOT NULL DEFAULT true,
  seen TIMESTAMPTZ DEFAULT now()
);
CREATE INDEX stock_region_idx ON stock (region);
INSERT INTO stock (sku, region, available, price) VALUES ('A-1', 'eu', 5, 1.005), ('A-2', 'us', 0, 20), ('B-1', 'eu', 7, NULL) RETURNING id, sku, active, price, seen;
INSERT INTO stock (sku, region, available, active) VALUES ('C-1', 'ap', 3, 'f');
SELECT * FROM stock ORDER BY id;
SELECT sku, available * 2 AS twice, price FROM stock WHERE active ORDER BY price DESC, sku;
SELECT sku FROM stock ORDER BY price;
SELECT region, count(*), sum(available), avg(available), max(price) FROM stock GROUP BY region ORDER BY region;
SELECT region, sku FROM stock GROUP BY region;
SELECT id, sku, count(*) FROM stock GROUP BY id ORDER BY id;
SELECT count(*) FILTER (WHERE active), count(DISTINCT region), bool_and(active), bool_or(active) FROM stock;
SELECT string_agg(sku, ',' ORDER BY sku DESC) FROM stock;
SELECT sku, row_number() OVER (PARTITION BY region ORDER BY sku) AS n, sum(available) OVER (ORDER BY id) AS running FROM stock ORDER BY id;
SELECT sku, lag(available, 1, 0) OVER w, rank() OVER w FROM stock WINDOW w AS (ORDER BY available) ORDER BY sku;
WITH low AS (SELECT * FROM stock WHERE available < 5) SELECT count(*) AS n FROM low;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT sum(i), count(*) FROM n;
SELECT sku FROM stock WHERE sku LIKE 'a-%';
SELECT sku FROM stock WHERE sku ILIKE 'a-%' ORDER BY 1;
SELECT sku FROM stock WHERE sku LIKE 'A\_%';
SELECT sku FROM stock WHERE id = ANY('{1,3}') ORDER BY id;
SELECT sku FROM stock WHERE id = ANY(ARRAY[2, 3]) ORDER BY id;
SELECT sku FROM stock WHERE sku = ANY('{A-1,"C-1"}'::text[]) ORDER BY id;
SELECT sku FROM stock WHERE id <> ALL('{1,3}') ORDER BY id;
SELECT sku FROM stock WHERE id IN (SELECT id FROM stock WHERE region = 'eu') ORDER BY id LIMIT 1 OFFSET 1;
SELECT sku FROM stock ORDER BY id OFFSET 2;
SELECT sku FROM stock ORDER BY id FETCH FIRST 1 ROW ONLY;
SELECT s.sku, r.name FROM stock s JOIN (VALUES ('eu', 'Europe'), ('us', 'America')) AS r(code, name) ON r.code = s.region ORDER BY s.id;
SELECT s.sku, r.name FROM stock AS s LEFT JOIN (SELECT 'eu' AS code, 'Europe' AS name) r ON r.code = s.region ORDER BY s.id DESC;
SELECT n, n * n FROM generate_series(1, 3) AS n;
SELECT * FROM generate_series(10, 1, -4) AS t(x);
SELECT x FROM unnest('{3,1,2}'::int[]) AS x ORDER BY x;
SELECT EXISTS (SELECT 1 FROM stock WHERE region = 'eu'), NOT EXISTS (SELECT 1 FROM stock);
SELECT (SELECT max(available) FROM stock), CASE WHEN 1 = 1 THEN 'yes' ELSE 'no' END, coalesce(NULL, 'x'), nullif(1, 1);
SELECT 1 UNION SELECT 2 UNION ALL SELECT 2 ORDER BY 1 DESC;
SELECT 1 UNION SELECT 2 INTERSECT SELECT 3;
(SELECT 3) UNION ALL (SELECT 1 ORDER BY 1 LIMIT 1) ORDER BY 1;
VALUES (1, 'a'), (2, 'b');
SELECT DISTINCT region FROM stock ORDER BY region;
SELECT "sku" AS "Sku" FROM public.stock WHERE "region" = 'us';
SELECT active AND available > 5 AS both, NOT active AS inactive FROM stock ORDER BY id;
SELECT sku FROM stock WHERE active = 'f' OR available = '7' ORDER BY id;
SELECT sku FROM stock WHERE (region, available) = ('eu', 7);
SELECT sku FROM stock WHERE price BETWEEN 1 AND 20 ORDER BY sku;
SELECT sku FROM stock WHERE price IS NULL ORDER BY sku;
SELECT 1 IS DISTINCT FROM NULL, NULL IS NOT DISTINCT FROM NULL, true IS NOT FALSE;
UPDATE stock s SET available = s.available - 1, price = price * 1.1 WHERE s.sku = 'A-1' RETURNING s.sku, available, price;
UPDATE stock SET (region, active) = ('xx', false) WHERE id = 4 RETURNING *;
UPDATE stock SET available = available + v.more FROM (VALUES ('A-1', 10), ('B-1', 20)) AS v(sku, more) WHERE stock.sku = v.sku;
UPDATE stock SET active = DEFAULT WHERE id = 4 RETURNING active;
SELECT sku, available FROM stock ORDER BY id;
INSERT INTO stock (sku, region, available) VALUES ('A-1', 'eu', 1) ON CONFLICT (sku) DO UPDATE SET available = stock.available + EXCLUDED.available RETURNING available;
INSERT INTO stock (sku, region, available) VALUES ('A-1', 'eu', 1) ON CONFLICT DO NOTHING;
INSERT INTO stock (sku, region, available) VALUES ('A-1', 'eu', 1) ON CONFLICT ON CONSTRAINT stock_sku_key DO NOTHING;
INSERT INTO stock (sku, region, available) SELECT 'D-' || n, 'eu', n FROM generate_series(1, 2) AS n RETURNING sku, id;
DELETE FROM stock USING (VALUES ('D-1')) AS d(sku) WHERE stock.sku = d.sku RETURNING stock.sku;
DELETE FROM stock WHERE sku = 'D-2';
CREATE VIEW eu AS SELECT sku, active FROM stock WHERE region = 'eu';
SELECT * FROM eu ORDER BY sku;
EXPLAIN SELECT * FROM stock WHERE sku = 'A-1';
EXPLAIN SELECT * FROM stock WHERE available = 1;
EXPLAIN SELECT * FROM stock WHERE sku LIKE 'A-%';
TRUNCATE stock RESTART IDENTITY;
INSERT INTO stock (sku, region, available) VALUES ('E-1', 'eu', 1) RETURNING id;
SELECT nextval('stock_id_seq'), currval('stock_id_seq'), setval('stock_id_seq', 100), nextval('stock_id_seq');
DROP TABLE stock;
DROP VIEW eu;
DROP TABLE stock;
-- A WITH before a change of rows
CREATE TABLE kept (sku TEXT PRIMARY KEY, n INT NOT NULL);
WITH low AS (SELECT 'a' AS sku, 1 AS n UNION ALL SELECT 'b', 2) INSERT INTO kept SELECT sku, n FROM low RETURNING sku;
WITH low AS (SELECT 'b' AS sku) INSERT INTO kept (sku, n) SELECT low.sku, 5 FROM low ON CONFLICT (sku) DO UPDATE SET n = excluded.n;
WITH more(sku, by) AS (VALUES ('a', 10), ('b', 20)) UPDATE kept SET n = n + more.by FROM more WHERE more.sku = kept.sku RETURNING kept.sku, n;
WITH most AS (SELECT max(n) AS n FROM kept) UPDATE kept SET n = 0 WHERE n = (SELECT n FROM most);
WITH gone AS (SELECT sku FROM kept WHERE n = 0) DELETE FROM kept WHERE sku IN (SELECT sku FROM gone) RETURNING sku;
WITH gone AS (SELECT 'a' AS sku) DELETE FROM kept USING gone WHERE gone.sku = kept.sku;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) INSERT INTO kept SELECT 'n' || i, i FROM n;
EXPLAIN WITH one AS (SELECT 1 AS n) DELETE FROM kept WHERE n IN (SELECT n FROM one);
SELECT * FROM kept ORDER BY sku;
WITH gone AS (DELETE FROM kept RETURNING sku) SELECT count(*) FROM gone;
WITH gone AS (SELECT 1 AS n) INSERT INTO missing SELECT n FROM gone;
