-- The invoices of all companies, and the postings of the books that come from them.
CREATE TABLE invoices (
  id SERIAL PRIMARY KEY,
  company INTEGER NOT NULL,
  month INTEGER NOT NULL,
  amount INTEGER NOT NULL
);

INSERT INTO invoices (company, month, amount)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
SELECT floor(random() * 40)::int + 1, floor(random() * 24)::int + 1, floor(random() * 90000)::int + 100 FROM n;

CREATE TABLE postings (
  id SERIAL PRIMARY KEY,
  company INTEGER NOT NULL,
  month INTEGER NOT NULL,
  amount INTEGER NOT NULL
);

INSERT INTO postings (company, month, amount) SELECT company, month, amount FROM invoices;
