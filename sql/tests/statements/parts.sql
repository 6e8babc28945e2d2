-- A WITH that changes rows
CREATE TABLE jobs (id SERIAL PRIMARY KEY, state TEXT NOT NULL DEFAULT 'new', payload TEXT, at TIMESTAMPTZ DEFAULT now(), big BYTEA, done BOOLEAN DEFAULT false, share NUMERIC(10,2));
INSERT INTO jobs (payload, share) SELECT 'p' || n, n / 4.0 FROM generate_series(1, 6) AS n;
CREATE TABLE archive (id INT PRIMARY KEY, state TEXT, payload TEXT, at TIMESTAMPTZ, big BYTEA, done BOOLEAN, share NUMERIC(10,2));
CREATE TABLE orders (id SERIAL PRIMARY KEY, customer TEXT NOT NULL);
CREATE TABLE items (id SERIAL PRIMARY KEY, order_id INT NOT NULL REFERENCES orders (id) ON DELETE CASCADE, sku TEXT, price INT CHECK (price > 0));
CREATE TABLE outbox (id UUID PRIMARY KEY, body TEXT);
CREATE TABLE prices (sku TEXT, price INT, is_current BOOLEAN NOT NULL);
CREATE UNIQUE INDEX prices_current_idx ON prices (sku) WHERE is_current;
INSERT INTO prices VALUES ('a', 1, true);
-- Rows that move
WITH gone AS (DELETE FROM jobs WHERE id <= 2 RETURNING *) INSERT INTO archive SELECT * FROM gone;
SELECT id, state, payload, done, share FROM archive ORDER BY id;
SELECT count(*) FROM jobs;
-- The queue, also with its rows kept elsewhere
WITH next AS (SELECT id FROM jobs WHERE state = 'new' ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED) UPDATE jobs SET state = 'running' FROM next WHERE jobs.id = next.id RETURNING jobs.id, jobs.payload;
WITH next AS (SELECT id FROM jobs WHERE state = 'new' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED), taken AS (DELETE FROM jobs USING next WHERE jobs.id = next.id RETURNING jobs.*) INSERT INTO archive SELECT * FROM taken RETURNING id, done, share;
WITH next AS (SELECT id FROM jobs WHERE state = 'new' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED), moved AS (INSERT INTO archive (id) SELECT id FROM next RETURNING id) DELETE FROM jobs USING next WHERE jobs.id = next.id RETURNING jobs.id;
-- A row and those that refer to it
WITH placed AS (INSERT INTO orders (customer) VALUES ('Ann') RETURNING id) INSERT INTO items (order_id, sku, price) SELECT id, 'a', 5 FROM placed UNION ALL SELECT id, 'b', 6 FROM placed RETURNING order_id, sku;
WITH placed AS (INSERT INTO orders (customer) VALUES ('Bob') RETURNING id), filled AS (INSERT INTO items (order_id, sku, price) SELECT id, 'c', 7 FROM placed RETURNING sku, order_id) SELECT f.sku, p.id FROM placed AS p JOIN filled AS f ON f.order_id = p.id;
-- One value in two tables
WITH named AS (SELECT gen_random_uuid() AS id), stored AS (INSERT INTO outbox SELECT id, 'x' FROM named RETURNING id) SELECT count(*) FROM named JOIN stored ON named.id = stored.id;
-- The version before is closed
WITH closed AS (UPDATE prices SET is_current = false WHERE sku = 'a' AND is_current RETURNING sku) INSERT INTO prices SELECT sku, 2, true FROM closed;
SELECT * FROM prices ORDER BY price;
-- What is counted of one
WITH touched AS (UPDATE jobs SET done = true RETURNING id, done) SELECT count(*), bool_and(done), max(id) FROM touched;
WITH a (x, y) AS (UPDATE jobs SET payload = 'z' RETURNING id, payload), b AS (SELECT x FROM a WHERE y = 'z') SELECT (SELECT count(*) FROM b), a.* FROM a JOIN b USING (x) WHERE x > 3;
WITH unread AS (DELETE FROM outbox) SELECT 1;
SELECT count(*) FROM outbox;
INSERT INTO outbox WITH gone AS (DELETE FROM prices WHERE NOT is_current RETURNING sku) SELECT gen_random_uuid(), sku FROM gone;
WITH kept AS (INSERT INTO archive (id, state) VALUES (1, 'again') ON CONFLICT (id) DO UPDATE SET state = excluded.state RETURNING id, state) SELECT * FROM kept;
EXPLAIN WITH gone AS (DELETE FROM jobs WHERE id = 1 RETURNING id) SELECT * FROM gone;
WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < 3), made AS (INSERT INTO orders (customer) SELECT 'c' || v FROM n RETURNING customer) SELECT string_agg(customer, ',') FROM made;
WITH gone AS (DELETE FROM archive WHERE id > 100 RETURNING id) SELECT count(*), max(id) FROM gone;
-- All of it or nothing
WITH placed AS (INSERT INTO orders (customer) VALUES ('Eve') RETURNING id) INSERT INTO items (order_id, price) SELECT id, 0 FROM placed;
WITH placed AS (INSERT INTO items (order_id, price) VALUES (1, 0) RETURNING id) INSERT INTO outbox SELECT gen_random_uuid(), 'x' FROM placed;
SELECT count(*) FROM orders WHERE customer = 'Eve';
-- Rows as they were before
WITH gone AS (DELETE FROM jobs RETURNING id) SELECT count(*) FROM jobs;
WITH gone AS (DELETE FROM orders RETURNING id) SELECT count(*) FROM items;
WITH gone AS (UPDATE jobs SET done = false RETURNING id) UPDATE jobs SET done = true FROM gone WHERE jobs.id = gone.id;
WITH sold AS (INSERT INTO items (order_id, price) VALUES (77, 1) RETURNING id) INSERT INTO orders (id, customer) VALUES (77, 'x');
-- A query that stands before the change, and is read behind it
DELETE FROM prices;
INSERT INTO prices VALUES ('a', 1, true), ('b', 2, true);
CREATE VIEW current AS SELECT sku, price FROM prices WHERE is_current;
WITH old AS (SELECT price FROM current WHERE sku = 'a'), upd AS (UPDATE prices SET price = 5 WHERE sku = 'a' RETURNING price) SELECT old.price, upd.price FROM old, upd;
WITH old AS (SELECT sku, price FROM prices), cheap AS (SELECT sku FROM old WHERE price < 5), upd AS (UPDATE prices SET price = price + 1), logged AS (INSERT INTO outbox SELECT gen_random_uuid(), sku FROM cheap RETURNING body) SELECT body FROM logged;
WITH gone AS (DELETE FROM prices WHERE sku = 'a' RETURNING sku), rest AS (SELECT sku FROM prices) SELECT count(*) FROM rest;
WITH old AS (SELECT * FROM prices), gone AS (DELETE FROM prices WHERE sku = 'b') SELECT count(*) FROM old, prices;
SELECT * FROM prices ORDER BY sku;
-- A recursive query that several parts read
CREATE TABLE numbers (v INT, w INT);
WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < 3), a AS (INSERT INTO numbers SELECT v, 0 FROM n), b AS (INSERT INTO numbers SELECT v, v * v FROM n RETURNING w) SELECT sum(w) FROM b;
SELECT v, w FROM numbers ORDER BY w, v;
WITH RECURSIVE n(v) AS (SELECT count(*) FROM numbers UNION ALL SELECT v - 1 FROM n WHERE v > 1), gone AS (DELETE FROM numbers WHERE w = 0) SELECT string_agg(v::text, ',') FROM n;
-- Tables that refer to one another
CREATE TABLE parents (id INT PRIMARY KEY, code TEXT UNIQUE);
CREATE TABLE followers (id INT, code TEXT REFERENCES parents (code) ON UPDATE CASCADE ON DELETE SET NULL, key INT UNIQUE);
CREATE TABLE others (parent INT REFERENCES parents, follower INT REFERENCES followers (key) ON UPDATE CASCADE);
CREATE TABLE log (id INT, code TEXT);
INSERT INTO parents VALUES (1, 'a'), (2, 'c'), (3, 'd');
INSERT INTO followers VALUES (1, 'a', 7);
INSERT INTO others VALUES (1, 7), (3, 7);
WITH up AS (INSERT INTO parents VALUES (1, 'b') ON CONFLICT (id) DO UPDATE SET code = excluded.code RETURNING id) INSERT INTO log SELECT id, code FROM followers;
WITH up AS (UPDATE parents SET code = 'b' WHERE id = 1 RETURNING id) SELECT code FROM followers;
WITH old AS (SELECT id, code FROM followers), up AS (UPDATE parents SET code = 'b' WHERE id = 1) INSERT INTO log SELECT id, code FROM old RETURNING code;
SELECT code FROM followers;
WITH new AS (INSERT INTO parents VALUES (4, 'e') ON CONFLICT DO NOTHING RETURNING id) SELECT id, code FROM followers;
WITH gone AS (DELETE FROM parents WHERE id = 2 RETURNING id) SELECT gone.id, count(others.parent) FROM gone, others GROUP BY gone.id;
WITH gone AS (DELETE FROM parents WHERE id = 4) SELECT count(*) FROM followers;
WITH up AS (UPDATE followers SET key = 8 WHERE id = 1 RETURNING key) SELECT count(*) FROM others;
WITH gone AS (DELETE FROM parents WHERE id = 3 RETURNING id) DELETE FROM others USING gone WHERE others.parent = gone.id;
WITH gone AS (DELETE FROM others WHERE parent = 3 RETURNING parent) DELETE FROM parents USING gone WHERE parents.id = gone.parent RETURNING id;
WITH gone AS (DELETE FROM others RETURNING parent) INSERT INTO parents SELECT parent + 8, 'z' FROM gone RETURNING id;
-- What cannot be
WITH unread AS (DELETE FROM outbox) SELECT * FROM unread;
SELECT * FROM (WITH gone AS (DELETE FROM outbox RETURNING id) SELECT * FROM gone) AS g;
WITH a AS (WITH b AS (SELECT 1) DELETE FROM outbox RETURNING id) SELECT * FROM a;
WITH a AS (DELETE FROM outbox RETURNING none) SELECT * FROM a;
WITH a AS (DELETE FROM outbox RETURNING id) SELECT none FROM a;
WITH state AS (INSERT INTO log VALUES (8, 'x')) SELECT state FROM jobs ORDER BY id LIMIT 1;
WITH log AS (INSERT INTO log VALUES (9, 'y')) SELECT id FROM log;
