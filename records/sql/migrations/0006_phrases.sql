-- A clause is found by whole phrases: its title, its words, and each way in which customers ask for it. Which of
-- them a question means is ranked by a rule; Postgres says what the words are and what is in force.
set local search_path = books, pg_temp;

alter table policy_clauses add column phrases jsonb not null default '[]' check (jsonb_typeof(phrases) = 'array');
update policy_clauses set phrases = jsonb_build_array('[]'::jsonb, to_jsonb(tsvector_to_array(terms)));
alter table policy_clauses drop column terms;
alter table policy_clauses alter column phrases drop default;
