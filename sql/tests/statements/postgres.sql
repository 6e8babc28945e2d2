-- Functions of PostgreSQL that SQLite has not
CREATE TABLE users (id BIGSERIAL PRIMARY KEY, name TEXT COLLATE "C", active BOOLEAN NOT NULL DEFAULT true, at TIMESTAMPTZ, doc JSONB, tags TEXT[], spent NUMERIC(10,2));
INSERT INTO users (name, active, at, doc, tags, spent) VALUES ('Ann', true, '2026-01-05 09:07:03.25', '{"a": {"b": [1]}, "t": true}', '{x,"y z"}', 10.5), ('Bob', false, '2026-12-31 23:59:59', NULL, ARRAY['z', 'q"'], 20), (NULL, true, NULL, '[1, "s"]', NULL, NULL);
-- Patterns
SELECT to_char(at, 'YYYY-MM-DD HH24:MI:SS.MS'), to_char(at, 'FMMonth DD, YYYY'), to_char(at, 'Dy Mon FMDD HH12:MI AM'), to_char(at, 'IYYY-"W"IW-ID Q DDD') FROM users ORDER BY id;
SELECT to_char(at, 'Month|Day|month|DY|US|TZ') FROM users ORDER BY id LIMIT 1;
SELECT to_char(1234.5, 'FM999,999.00'), to_char(1234.5, '999,999.99'), to_char(-0.5, '990.99'), to_char(7, '000'), to_char(0.5, 'FM9.99'), to_char(12345, '999'), to_char(1.5, 'FM9.99'), to_char(5, 'S99'), to_char(0, 'FM999');
SELECT to_date('31/01/2026', 'DD/MM/YYYY'), to_timestamp('2026-01-31 09:05:07', 'YYYY-MM-DD HH24:MI:SS'), to_timestamp('Jan 5 2026 02:30 pm', 'Mon DD YYYY HH12:MI am'), to_date('20260131', 'YYYYMMDD');
SELECT to_date('soon', 'YYYY-MM-DD');
SELECT to_date('2026-02-30', 'YYYY-MM-DD');
SELECT make_date(2026, 2, 28), make_timestamp(2026, 1, 31, 10, 5, 7.5), make_timestamptz(2026, 1, 31, 10, 0, 0);
SELECT make_date(2026, 2, 29);
SELECT format('%s-%s %% %I %L %1$s', 'a', NULL, 'Odd Name', 'it''s'), format('x'), quote_literal('it''s'), quote_ident('Odd'), quote_ident('plain');
SELECT format('%s');
SELECT format('%d', 1);
-- Numbers
SELECT pi(), cbrt(27), sin(0), cos(0), atan2(0, 1), degrees(0), radians(0), gcd(12, 18), lcm(4, 6), gcd(-4, 0), bit_length('ab');
SELECT asin(2);
SELECT num_nulls(1, NULL, 'a'), num_nonnulls(1, NULL, 'a'), overlay('abcdef' placing 'XX' from 2 for 3), overlay('abcdef' placing 'XX' from 5);
SELECT stddev(n), stddev_pop(n), variance(n), var_pop(n), stddev(n) FILTER (WHERE n < 0) FROM (VALUES (2), (4), (4), (4), (5), (5), (7), (9)) AS v(n);
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY n), percentile_cont(0.95) WITHIN GROUP (ORDER BY n), percentile_disc(0.5) WITHIN GROUP (ORDER BY n), percentile_disc(0.25) WITHIN GROUP (ORDER BY n DESC), mode() WITHIN GROUP (ORDER BY n) FROM (VALUES (1), (2), (2), (10)) AS v(n);
SELECT n % 2 AS odd, percentile_cont(0.5) WITHIN GROUP (ORDER BY n) FILTER (WHERE n > 1) AS half FROM generate_series(1, 6) AS n GROUP BY 1 ORDER BY 1;
SELECT mode() WITHIN GROUP (ORDER BY name), percentile_disc(1) WITHIN GROUP (ORDER BY name) FROM users;
SELECT percentile_cont(1.5) WITHIN GROUP (ORDER BY id) FROM users;
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY name) FROM users;
SELECT percentile_cont(0.5) FROM users;
SELECT stddev(name) FROM users;
SELECT stddev(id) OVER () FROM users;
-- JSON
SELECT row_to_json(u) FROM (SELECT id, name, active, doc FROM users) AS u ORDER BY id;
SELECT json_agg(u ORDER BY u.id) FROM (SELECT id, active FROM users) AS u;
SELECT json_build_object('active', active, 'doc', doc, 'n', id) FROM users WHERE id = 1;
SELECT json_agg(active), jsonb_object_agg(id, name), json_agg(name) FILTER (WHERE id > 5), coalesce(jsonb_agg(id) FILTER (WHERE id > 5), '[]') FROM users;
SELECT to_json('a"b'::text), to_jsonb(id), to_jsonb(active), to_jsonb(doc), to_json(at) FROM users ORDER BY id LIMIT 1;
SELECT jsonb_typeof(doc), jsonb_typeof(doc -> 't'), jsonb_typeof('1.5'::jsonb), jsonb_typeof('"x"'::jsonb), jsonb_typeof('null'::jsonb) FROM users ORDER BY id;
SELECT jsonb_extract_path_text(doc, 'a', 'b', '0'), jsonb_extract_path(doc, 'a'), jsonb_exists(doc, 'a') FROM users ORDER BY id LIMIT 1;
UPDATE users SET doc = jsonb_set(doc, '{name}', to_jsonb(name)) WHERE id = 1 RETURNING doc;
-- Arrays, which are texts
SELECT tags, array_length(tags, 1), cardinality(tags), array_to_string(tags, '-') FROM users ORDER BY id;
SELECT array_agg(name ORDER BY id), array_agg(active), array_agg(id) FILTER (WHERE id > 5), array_agg(spent) FROM users;
SELECT ARRAY[1, 2, 3], ARRAY['a b', NULL, 'c'], string_to_array('a,b c,', ','), array_to_string(ARRAY['a', NULL, 'b'], ',', '*'), array_length(ARRAY[]::int[], 1);
SELECT id FROM users WHERE 'y z' = ANY (tags);
SELECT word FROM unnest(string_to_array('b a', ' ')) AS word ORDER BY word;
SELECT string_agg(DISTINCT name, ',') FROM users;
SELECT string_agg(DISTINCT name, '; ') FROM users;
SELECT (ARRAY[1, 2])[1];
-- Moments
SELECT d FROM generate_series('2026-01-30'::date, '2026-02-01'::date, '1 day'::interval) AS d;
SELECT count(*), max(t) FROM generate_series(timestamp '2026-01-01', timestamp '2026-01-02', interval '6 hours') AS t;
SELECT * FROM generate_series(timestamptz '2026-01-31', timestamptz '2026-01-30 12:00', interval '-12 hours');
SELECT * FROM generate_series(now(), now(), interval '0');
SELECT * FROM generate_series('2026-01-01'::date, '2026-01-02'::date);
SELECT date_trunc('day', at, 'UTC'), timezone('UTC', at), current_timestamp(3) = now() FROM users ORDER BY id LIMIT 1;
SELECT name FROM users ORDER BY name COLLATE "C" DESC NULLS LAST;
SELECT name FROM users ORDER BY name COLLATE "de_DE";
-- Sequences
SELECT pg_get_serial_sequence('users', 'id'), pg_get_serial_sequence('users', 'name'), nextval('users_id_seq'::regclass), setval('users_id_seq', 50, false), nextval('public.users_id_seq'), setval(pg_get_serial_sequence('users', 'id'), (SELECT max(id) FROM users));
CREATE SEQUENCE more AS bigint START WITH 5 INCREMENT BY 1 NO MINVALUE NO MAXVALUE CACHE 1;
SELECT nextval('more'), nextval('more');
-- Settings
SELECT version(), current_schema, current_schema(), current_database(), current_user, current_setting('server_version_num');
SHOW server_version;
SHOW TRANSACTION ISOLATION LEVEL;
SHOW TIME ZONE;
SHOW nothing;
SET client_encoding TO 'UTF8';
SET TIME ZONE 'UTC';
SET search_path = public;
SET application_name = 'shop';
SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
SET statement_timeout = 0;
RESET ALL;
DISCARD ALL;
SET statement_timeout = 5000;
SET TIME ZONE 'Europe/Berlin';
SET search_path = other;
SET nothing = 1;
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE;
SELECT pg_advisory_xact_lock(1);
SELECT age(now(), now());
SELECT md5('a');
-- The tables that list the tables
CREATE VIEW active AS SELECT name FROM users WHERE active;
SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'public' ORDER BY table_name;
SELECT c.column_name, c.data_type, is_nullable FROM information_schema.columns c WHERE c.table_name = 'users' ORDER BY c.ordinal_position;
SELECT tablename FROM pg_tables WHERE schemaname = 'public';
SELECT indexname FROM pg_catalog.pg_indexes WHERE tablename = 'users';
SELECT * FROM information_schema.schemata;
WITH pg_tables AS (SELECT 1 AS one) SELECT * FROM pg_tables;
SELECT * FROM information_schema.triggers;
SELECT oid FROM pg_class;
SELECT name, active, count(*) FROM users GROUP BY ROLLUP (name, active);
SELECT ARRAY(SELECT id FROM users);
PREPARE p AS SELECT 1;
LISTEN x;
-- TRUNCATE CASCADE
CREATE TABLE notes (user_id BIGINT REFERENCES users (id), note TEXT);
INSERT INTO notes VALUES (1, 'x');
TRUNCATE users;
TRUNCATE users CASCADE;
SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM notes);
