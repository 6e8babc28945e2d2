-- The invoices of all companies.
CREATE TABLE invoices (
  id SERIAL PRIMARY KEY,
  company INTEGER NOT NULL,
  month INTEGER NOT NULL,
  amount INTEGER NOT NULL
);

INSERT INTO invoices (company, month, amount)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
SELECT floor(random() * 40)::int + 1, floor(random() * 24)::int + 1, floor(random() * 90000)::int + 100 FROM n;
