-- Models: what their calls come to.

set local search_path = books, pg_temp;

set local role books_scribe;

-- A call counts as what was reserved for it until it is settled, in the day and month of its reservation.
create function count_spend() returns trigger language plpgsql security definer
set search_path = books, pg_temp set timezone = 'UTC' as $$
declare
  before model_calls;
  since timestamptz := new.at;
begin
  if new.phase = 'settled' then
    select * into strict before from model_calls where tenant = new.tenant and case_id = new.case_id
      and run = new.run and step = new.step and attempt = new.attempt and phase = 'reserved';
    since := before.at;
  end if;
  insert into spend as s (tenant, period, starts_on, customer_id, calls, tokens, cost_micros)
  select new.tenant, p.period, date_trunc(p.period, since)::date, p.customer_id, (new.phase = 'reserved')::int,
    new.tokens - coalesce(before.tokens, 0), new.cost_micros - coalesce(before.cost_micros, 0)
  from (values ('day', ''), ('month', ''), ('day', new.customer_id::text)) as p (period, customer_id)
  order by p.period, p.customer_id
  on conflict (tenant, period, starts_on, customer_id) do update set
    calls = s.calls + excluded.calls, tokens = s.tokens + excluded.tokens, cost_micros = s.cost_micros + excluded.cost_micros;
  return null;
end $$;

-- How busy and how well an endpoint is, over every process and every tenant: it has one limit for all of them.
create function endpoint_load(
  of_endpoint text, out in_flight bigint, out requests bigint, out tokens bigint, out failures integer,
  out failed_seconds_ago double precision
) language sql stable security definer set search_path = books, pg_temp
begin atomic
  select
    (select count(*) from model_calls r where r.endpoint = of_endpoint and r.phase = 'reserved'
      and r.at > clock() - interval '2 minutes' and not exists (
        select from model_calls s where s.tenant = r.tenant and s.case_id = r.case_id and s.run = r.run
          and s.step = r.step and s.attempt = r.attempt and s.phase = 'settled')),
    (select count(*) from model_calls r where r.endpoint = of_endpoint and r.phase = 'reserved'
      and r.at > clock() - interval '1 minute'),
    (select coalesce(sum(coalesce(s.tokens, r.tokens)), 0) from model_calls r
      left join model_calls s on s.tenant = r.tenant and s.case_id = r.case_id and s.run = r.run
        and s.step = r.step and s.attempt = r.attempt and s.phase = 'settled'
      where r.endpoint = of_endpoint and r.phase = 'reserved' and r.at > clock() - interval '1 minute'),
    f.failures::integer,
    extract(epoch from clock() - f.last_at)::double precision
  from (
    select count(*) filter (where not ended_well) as failures, max(at) filter (where not ended_well) as last_at
    from (
      select at, bool_or(well) over (order by at desc, case_id) as ended_well
      from (
        select at, case_id, outcome not in ('server_error', 'unreachable', 'timed_out', 'stalled', 'cut_stream',
          'rate_limited', 'quota_exhausted', 'unauthorized', 'not_an_answer') as well
        from model_calls where endpoint = of_endpoint and phase = 'settled' and at > clock() - interval '10 minutes'
        order by at desc limit 20
      ) newest
    ) run
  ) f;
end;

reset role;

set local role books_owner;
create trigger count_spend after insert on model_calls for each row execute function count_spend();
reset role;
