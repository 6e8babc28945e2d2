-- What the newspaper has written lately, in four sections.
CREATE TABLE articles (
  id SERIAL PRIMARY KEY,
  section INTEGER NOT NULL,
  title TEXT NOT NULL,
  score INTEGER NOT NULL
);

INSERT INTO articles (section, title, score)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 800)
SELECT floor(random() * 4)::int + 1, 'an article', floor(random() * 1000)::int FROM n;

CREATE INDEX articles_section_idx ON articles (section);
