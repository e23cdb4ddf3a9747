-- The policy library: what was imported, who approved it, what it means to an embedding model.

-- insert_policy_import --
-- Which corpus was imported; no row where it is the one that was imported last.
insert into policy_imports (tenant, seq, corpus_sha256, documents)
select tenant(), coalesce(max(seq), 0) + 1, %(corpus_sha256)s::text, %(documents)s from policy_imports
where tenant = tenant()
having (select corpus_sha256::text from policy_imports where tenant = tenant() order by seq desc limit 1)
  is distinct from %(corpus_sha256)s::text
returning seq;

-- last_policy_import --
select corpus_sha256, documents, at from policy_imports where tenant = tenant() order by seq desc limit 1;

-- insert_policy_review --
insert into policy_reviews (tenant, document_id, version, seq, sha256, verdict, person, note)
values (tenant(), %(document_id)s, %(version)s, 1, %(sha256)s, %(verdict)s, %(person)s, %(note)s)
returning seq;

-- library_listed --
-- Every document version with what a person said of it, and how many clauses and rules it has.
select d.document_id, d.version, d.title, d.region, d.status, d.effective_on, d.expires_on, d.sha256, d.imported_at,
  (select count(*) from policy_clauses c where c.tenant = d.tenant and c.document_id = d.document_id
    and c.version = d.version) as clauses,
  jsonb_array_length(d.rules) as rules, d.rules as stated, r.verdict, r.person, r.at as reviewed_at, r.sha256 = d.sha256 as of_these_words
from policy_documents d
left join lateral (
  select verdict, person, at, sha256 from policy_reviews r
  where r.tenant = d.tenant and r.document_id = d.document_id and r.version = d.version order by seq desc limit 1
) r on true
where d.tenant = tenant() and (%(document_id)s::text is null or d.document_id = %(document_id)s)
  and (%(version)s::integer is null or d.version = %(version)s)
order by d.document_id, d.version;

-- clauses_of_document --
select clause, quote from policy_clauses where tenant = tenant() and document_id = %(document_id)s and version = %(version)s order by clause;

-- unread_phrases --
-- The clauses that an embedding model has not read yet, or not by each way to ask for them.
select c.document_id, c.version, c.clause, c.quote, c.asked,
  case c.heading when '' then d.title else c.heading end as title
from policy_clauses c join policy_documents d using (tenant, document_id, version)
where d.tenant = tenant() and d.status = 'approved' and (
  select count(*) from clause_vectors v where v.tenant = c.tenant and v.document_id = c.document_id and v.version = c.version
    and v.clause = c.clause and v.model = %(model)s) < 1 + cardinality(c.asked)
order by c.document_id, c.version, c.clause;

-- insert_vector --
insert into clause_vectors (tenant, document_id, version, clause, phrase, model, vector)
values (tenant(), %(document_id)s, %(version)s, %(clause)s, %(phrase)s, %(model)s, %(vector)s::real[])
on conflict do nothing;

-- vectors_to_find --
-- What a model made of the phrases of clauses, so many after the last that was read: in columns, the vectors as bytes.
select array_agg(document_id::text) as documents, array_agg(version) as versions, array_agg(clause) as clauses,
  array_agg(phrase) as phrases, string_agg(array_send(vector), ''::bytea) as vectors
from (
  select document_id, version, clause, phrase, vector from clause_vectors
  where tenant = tenant() and model = %(model)s and cardinality(vector) = %(length)s
    and (document_id, version, clause, phrase) > (%(after_document)s, %(after_version)s, %(after_clause)s, %(after_phrase)s)
  order by document_id, version, clause, phrase limit %(most)s
) page;

-- corpus_imported --
select seq from policy_imports where tenant = tenant() and corpus_sha256 = %(corpus_sha256)s limit 1;
