-- Forms of queries that SQLite has not
CREATE TABLE users (id BIGSERIAL PRIMARY KEY, name TEXT, active BOOLEAN NOT NULL DEFAULT true, made TIMESTAMPTZ, doc JSONB, tags TEXT);
CREATE TABLE orders (id SERIAL PRIMARY KEY, user_id BIGINT NOT NULL, status TEXT NOT NULL, total NUMERIC(10,2) NOT NULL, placed DATE);
INSERT INTO users (name, active, made, doc, tags) VALUES ('Ann', true, '2026-01-01 10:00:00', '{"a": {"b": [1, 2]}, "t": true}', '{x,y}'), ('Bob', false, '2026-01-02', '{"a": {"b": ["u", {"c": null}]}}', NULL), ('Cy', true, NULL, NULL, '{z}');
INSERT INTO orders (user_id, status, total, placed) VALUES (1, 'new', 10, '2026-01-01'), (1, 'paid', 20.5, '2026-01-02'), (2, 'new', 5, '2026-01-03'), (1, 'new', 7, NULL);
-- DISTINCT ON
SELECT DISTINCT ON (user_id) user_id, id, total FROM orders ORDER BY user_id, total DESC;
SELECT DISTINCT ON (status) * FROM orders ORDER BY status DESC, placed DESC NULLS LAST;
SELECT DISTINCT ON (o.status) u.name AS who, o.* FROM orders o JOIN users u ON u.id = o.user_id ORDER BY o.status, o.id LIMIT 1;
SELECT DISTINCT ON (1) status AS s, count(*) OVER () AS n FROM orders ORDER BY 1;
SELECT DISTINCT ON (status, user_id) id FROM orders ORDER BY user_id, status, id OFFSET 1;
SELECT DISTINCT ON (user_id) user_id, sum(total) AS spent FROM orders GROUP BY user_id, status ORDER BY user_id, spent DESC;
SELECT count(*) FROM (SELECT DISTINCT ON (user_id) user_id FROM orders) AS firsts;
WITH latest AS (SELECT DISTINCT ON (user_id) * FROM orders ORDER BY user_id, id DESC) SELECT user_id, id FROM latest ORDER BY user_id;
SELECT DISTINCT ON (user_id) id FROM orders WHERE user_id = $1;
SELECT DISTINCT ON (user_id) id FROM orders ORDER BY total;
SELECT DISTINCT ON (user_id) id FROM orders ORDER BY user_id FOR UPDATE;
SELECT DISTINCT ON (nothing) id FROM orders;
SELECT DISTINCT ON (2) id FROM orders;
EXPLAIN SELECT DISTINCT ON (user_id) user_id, id FROM orders ORDER BY user_id, id;
-- LATERAL
SELECT u.name, x.total FROM users u CROSS JOIN LATERAL (SELECT o.total FROM orders o WHERE o.user_id = u.id ORDER BY o.total DESC LIMIT 1) AS x ORDER BY u.id;
SELECT u.name, x.n, x.total FROM users u LEFT JOIN LATERAL (SELECT count(*) AS n, max(o.total) AS total FROM orders o WHERE o.user_id = u.id) AS x ON true ORDER BY u.id;
SELECT u.id, x.* FROM users u LEFT JOIN LATERAL (SELECT o.id, o.status FROM orders o WHERE o.user_id = u.id AND o.status = 'paid') AS x ON true ORDER BY u.id;
SELECT * FROM (VALUES (1), (2)) AS v(n), LATERAL (SELECT n * 10, true, 'x' || n) AS l(a, b, c) WHERE b AND a > 10;
SELECT u.name, l.twice FROM users u, LATERAL (SELECT u.id * 2 AS id2) AS k, LATERAL (SELECT k.id2 * 2 AS twice) AS l WHERE u.active ORDER BY twice DESC;
SELECT count(*) FROM users u JOIN LATERAL (SELECT 1 AS one FROM orders o WHERE o.user_id = u.id) AS x ON x.one = 1;
SELECT x.nothing FROM users u, LATERAL (SELECT 1 AS one) AS x;
SELECT u.name, n FROM users u, LATERAL generate_series(1, u.id) AS n;
-- Elements of JSON and of arrays
SELECT u.id, e FROM users u, jsonb_array_elements(u.doc -> 'a' -> 'b') AS e ORDER BY u.id, e;
SELECT u.id, e.value FROM users u CROSS JOIN LATERAL jsonb_array_elements_text(doc -> 'a' -> 'b') WITH ORDINALITY AS e(value, place) WHERE e.place = 2 ORDER BY u.id;
SELECT u.id, key, value FROM users u, jsonb_each(u.doc) ORDER BY u.id, key;
SELECT k, v FROM jsonb_each_text('{"a": true, "b": [1], "c": "x", "d": null}') AS e(k, v) ORDER BY k;
SELECT u.id, k FROM users u LEFT JOIN LATERAL jsonb_object_keys(u.doc) AS k ON true ORDER BY u.id, k;
SELECT sum(value::int) FROM json_array_elements_text('[1, 2, 3]');
SELECT x, n FROM unnest('{a,b,NULL}'::text[], '{1,2}'::int[]) AS t(x, n) ORDER BY n;
SELECT * FROM unnest(ARRAY['a', 'b,"c'], ARRAY[1, 2]) AS t(x, n);
SELECT * FROM unnest('["[", "\"]"]'::text[], '[[1], 2]'::int[]);
SELECT x, n FROM unnest('{a,b}'::text[]) WITH ORDINALITY AS t(x, n) WHERE n = 2;
SELECT x FROM unnest(ARRAY[3, 1]) AS x ORDER BY x;
SELECT u.id, tag FROM users u, unnest(u.tags) AS tag ORDER BY u.id, tag;
INSERT INTO orders (user_id, status, total) SELECT * FROM unnest('{3,3}'::bigint[], '{new,paid}'::text[], '{1.5,2}'::numeric[]) RETURNING user_id, status, total;
SELECT * FROM jsonb_array_elements('{');
SELECT * FROM jsonb_array_elements('[');
SELECT * FROM jsonb_each('[1]');
SELECT * FROM jsonb_array_elements(NULL::jsonb);
-- ANY and ALL
SELECT id FROM orders WHERE total >= ALL (SELECT total FROM orders);
SELECT id FROM orders WHERE id > ANY ('{5}') ORDER BY id;
SELECT id FROM orders WHERE id <= ALL ('{2,3}') ORDER BY id;
SELECT 1 > ANY ('{}'), 1 > ALL ('{}'), 1 < ALL (SELECT NULL::int), 1 = ALL (SELECT 1), 1 <> ANY (ARRAY[1, 2]), 2 > ALL (ARRAY[1, NULL]), 0 > ALL (ARRAY[1, NULL]);
SELECT id FROM orders WHERE id = ANY (ARRAY[1, 2]::bigint[]) ORDER BY id;
SELECT id FROM users WHERE id = ANY (ARRAY(SELECT user_id FROM orders WHERE status = 'paid')) ORDER BY id;
SELECT name FROM users WHERE name LIKE ANY (ARRAY['A%', 'B%']) ORDER BY name;
SELECT name FROM users WHERE name ILIKE ANY (ARRAY['c%']);
SELECT name FROM users WHERE name ~~ ANY ('{A%}');
-- VALUES and RETURNING
VALUES (1, 'a'), (2, 'b') ORDER BY 1 DESC LIMIT 1;
VALUES (1), (2) OFFSET 1;
UPDATE orders o SET total = o.total + 1 FROM users u WHERE u.id = o.user_id AND u.name = 'Bob' RETURNING o.*;
DELETE FROM orders o USING users u WHERE u.id = o.user_id AND u.name = 'Cy' RETURNING o.*, o.id AS again;
INSERT INTO orders AS o (user_id, status, total) VALUES (1, 'x', 1) RETURNING o.*;
UPDATE orders SET (status, total) = ROW('row', 3) WHERE id = 7 RETURNING status, total;
-- Views that are replaced
CREATE VIEW spent AS SELECT user_id FROM orders;
CREATE OR REPLACE VIEW spent AS SELECT user_id, sum(total) AS total FROM orders GROUP BY user_id;
SELECT * FROM spent ORDER BY user_id;
CREATE OR REPLACE VIEW orders AS SELECT 1 AS one;
CREATE MATERIALIZED VIEW later AS SELECT 1 AS one;
