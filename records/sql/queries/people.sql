-- People: who they are, how they sign in, what they may.

-- insert_person --
insert into people (person, name) values (%(person)s, %(name)s) on conflict do nothing;

-- person_there --
select person, issuer, active from people where person = %(person)s;

-- insert_membership --
insert into memberships (tenant, person, role) values (%(tenant)s, %(person)s, %(role)s) on conflict do nothing;

-- delete_membership --
delete from memberships where tenant = tenant() and person = %(person)s;

-- insert_token --
insert into tokens (token_sha256, person, audience, scopes, ceiling_minor, expires_at)
values (%(token_sha256)s, %(person)s, %(audience)s, %(scopes)s, %(ceiling_minor)s, clock() + make_interval(days => %(days)s))
on conflict do nothing;

-- person_of_token --
-- The person that a token speaks for, with every role they have; none where it has ended or they have left.
select t.person, p.name, t.audience, t.scopes, t.ceiling_minor, m.tenant, m.role
from tokens t
join people p on p.person = t.person and p.active
join memberships m on m.person = t.person
where t.token_sha256 = %(token_sha256)s and t.expires_at > clock();

-- insert_password --
insert into passwords (person, hash) values (%(person)s, %(hash)s);

-- password_of --
-- The newest password of a person who is there and whom no issuer vouches for.
select w.hash from passwords w join people p on p.person = w.person and p.active and p.issuer is null
where w.person = %(person)s order by w.set_at desc limit 1;

-- set_email --
update people set email = %(email)s where person = %(person)s;

-- set_active --
update people set active = %(active)s where person = %(person)s returning person;

-- list_people --
select p.person, p.name, p.active, p.email, p.issuer, exists (select from passwords w where w.person = p.person) as has_password
from people p order by p.person;

-- roles_of_person --
select role from memberships where tenant = tenant() and person = %(person)s order by role;

-- insert_sign_in --
insert into sign_ins (name_sha256, address, succeeded) values (%(name_sha256)s, %(address)s, %(succeeded)s);

-- failed_sign_ins --
-- How often a name failed since it last succeeded, and how often an address failed, within the minutes that count.
select
  (select count(*) from sign_ins f where f.name_sha256 = %(name_sha256)s and not f.succeeded
    and f.at > greatest(clock() - make_interval(mins => %(minutes)s), coalesce((
      select max(s.at) from sign_ins s where s.name_sha256 = %(name_sha256)s and s.succeeded), '-infinity'))) as of_name,
  (select count(*) from sign_ins f where f.address = %(address)s and not f.succeeded
    and f.at > clock() - make_interval(mins => %(minutes)s)) as of_address;

-- lock_sign_in --
-- Tries of one name follow one another, so that none slips past the count.
select pg_advisory_xact_lock(hashtextextended('sign in ' || %(name_sha256)s, 7));

-- insert_session --
insert into sessions (session_sha256, person, expires_at)
values (%(session_sha256)s, %(person)s, clock() + make_interval(hours => %(hours)s)) returning expires_at;

-- end_session --
insert into session_ends (session_sha256) select session_sha256 from sessions where session_sha256 = %(session_sha256)s
on conflict do nothing;

-- end_sessions_of --
insert into session_ends (session_sha256) select session_sha256 from sessions
where person = %(person)s and expires_at > clock() on conflict do nothing;

-- person_of_session --
-- The person of a session that has not ended, with every role they have now.
select s.person, p.name, m.tenant, m.role
from sessions s
join people p on p.person = s.person and p.active
join memberships m on m.person = s.person
where s.session_sha256 = %(session_sha256)s and s.expires_at > clock()
  and not exists (select from session_ends e where e.session_sha256 = s.session_sha256);

-- meet --
-- A person whom an issuer vouches for, with the roles it says now.
select meet(%(person)s, %(name)s, %(issuer)s, %(subject)s, %(roles)s) as person;

-- person_now --
-- A person who is there, with every role they have now.
select p.person, p.name, m.tenant, m.role from people p join memberships m on m.person = p.person
where p.person = %(person)s and p.active;
