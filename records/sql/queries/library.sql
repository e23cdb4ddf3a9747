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

-- unmeant_phrases --
-- What of the library an embedding model has not read yet, and who it is found by.
select c.document_id, c.version, c.clause, c.quote, d.title
from policy_clauses c join policy_documents d using (tenant, document_id, version)
where d.tenant = tenant() and d.status = 'approved' and not exists (
  select from clause_vectors v where v.tenant = c.tenant and v.document_id = c.document_id and v.version = c.version
    and v.clause = c.clause and v.model = %(model)s)
order by c.document_id, c.version, c.clause;

-- insert_vector --
insert into clause_vectors (tenant, document_id, version, clause, phrase, model, vector)
values (tenant(), %(document_id)s, %(version)s, %(clause)s, %(phrase)s, %(model)s, %(vector)s::real[])
on conflict do nothing;

-- nearest_clauses --
-- The clauses in force that mean most nearly what is asked, each by its nearest phrase; and how many have been read.
select v.document_id, v.version, v.clause, max(similarity(v.vector, %(vector)s::real[])) as near
from clause_vectors v
join documents_in_force(%(region)s, %(on_date)s) d on d.tenant = v.tenant and d.document_id = v.document_id and d.version = v.version
where v.model = %(model)s and cardinality(v.vector) = cardinality(%(vector)s::real[])
group by v.document_id, v.version, v.clause
order by near desc, v.document_id, v.clause
limit %(most)s;

-- vector_there --
select 1 as there from clause_vectors
where document_id = %(document_id)s and version = %(version)s and clause = %(clause)s and model = %(model)s limit 1;

-- corpus_imported --
select seq from policy_imports where tenant = tenant() and corpus_sha256 = %(corpus_sha256)s limit 1;
