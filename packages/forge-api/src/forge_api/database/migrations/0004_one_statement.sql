-- What a request does most often takes one statement: to create a run, to append to the audit log, to read a run.

-- The request that something was asked with, for what is recorded when it ends.
alter table pipeline_runs add column request_id text;
alter table deployments add column request_id text, add column trace text;

create index job_logs_run_index on job_logs (run_id, created_at, logs_key);

-- As the API writes times: ISO 8601 with microseconds, in UTC.
create function utc_text(moment timestamptz) returns text language sql stable
return to_char(moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

-- JSON with sorted keys and no spaces: what the hash of an audit event covers.
create function canonical_json(value jsonb) returns text language plpgsql immutable as $$
begin
    if jsonb_typeof(value) = 'object' then
        return '{' || coalesce((
            select string_agg(
                to_json(entry.key)::text || ':' || case when jsonb_typeof(entry.value) in ('object', 'array')
                    then canonical_json(entry.value) else entry.value::text end, ',' order by entry.key collate "C")
            from jsonb_each(value) entry), '') || '}';
    elsif jsonb_typeof(value) = 'array' then
        return '[' || coalesce((
            select string_agg(canonical_json(entry.value), ',' order by entry.ordinality)
            from jsonb_array_elements(value) with ordinality entry), '') || ']';
    end if;
    return value::text;
end;
$$;

-- Other writers wait until the caller's transaction ends.
create function append_audit_event(
    event_id uuid, event_actor text, event_action text, event_subject text, event_request_id text,
    event_trace_id text, value_before jsonb, value_after jsonb
) returns void language plpgsql as $$
declare
    number bigint;
    previous text;
    moment timestamptz;
    content text;
begin
    perform pg_advisory_xact_lock(1635083369);
    select sequence + 1, hash into number, previous from audit_events order by sequence desc limit 1;
    number := coalesce(number, 1);
    previous := coalesce(previous, repeat('0', 64));
    moment := clock_timestamp();
    content := '{"action":' || to_json(event_action)::text
        || ',"actor":' || to_json(event_actor)::text
        || ',"after":' || coalesce(canonical_json(value_after), 'null')
        || ',"before":' || coalesce(canonical_json(value_before), 'null')
        || ',"id":"' || event_id
        || '","occurred_at":"' || to_char(moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')
        || '+00:00","previous_hash":"' || previous
        || '","request_id":' || coalesce(to_json(event_request_id)::text, 'null')
        || ',"sequence":' || number
        || ',"subject":' || to_json(event_subject)::text
        || ',"trace_id":' || coalesce(to_json(event_trace_id)::text, 'null') || '}';
    insert into audit_events (sequence, id, occurred_at, actor, action, subject, request_id, trace_id, before, after,
                              previous_hash, hash)
    values (number, event_id, moment, event_actor, event_action, event_subject, event_request_id, event_trace_id,
            value_before, value_after, previous, encode(sha256(convert_to(content, 'UTF8')), 'hex'));
end;
$$;

-- Take from a budget that is full again at `full_at`: nothing where there was enough, else the seconds to wait.
create function take_budget(budget text, cost interval, whole interval) returns double precision language plpgsql as $$
declare
    again timestamptz;
begin
    insert into rate_limits as r (key, full_at) values (budget, now() + cost)
    on conflict (key) do update set full_at = greatest(r.full_at, now()) + cost
        where greatest(r.full_at, now()) + cost <= now() + whole;
    if found then
        return null;
    end if;
    select full_at into again from rate_limits where key = budget;
    return greatest(0, coalesce(extract(epoch from again + cost - now() - whole)::double precision, 0));
end;
$$;

-- The phases of a run with their tasks and steps, as the API shows them; nothing where there are none.
create function run_phases(run uuid) returns json language plpgsql stable as $$
begin
    return (select json_agg(json_build_object(
            'id', h.id, 'name', h.phase_name, 'group', h.group_number, 'status', h.status,
            'started_at', utc_text(h.started_at), 'completed_at', utc_text(h.completed_at), 'tasks', coalesce((
                select json_agg(json_build_object(
                    'id', t.id, 'project', t.project_name, 'project_path', t.project_path, 'status', t.status,
                    'started_at', utc_text(t.started_at), 'completed_at', utc_text(t.completed_at), 'error', t.error,
                    'steps', coalesce((
                        select json_agg(json_build_object(
                            'id', s.id, 'name', s.step_name, 'action', s.action, 'status', s.status,
                            'exit_code', s.exit_code, 'started_at', utc_text(s.started_at),
                            'completed_at', utc_text(s.completed_at), 'error', s.error,
                            'logs_available', s.logs_key is not null) order by s.id)
                        from step_executions s where s.task_id = t.id), '[]'::json)) order by t.project_name)
                from task_executions t where t.phase_id = h.id), '[]'::json)) order by h.group_number, h.phase_name)
        from phase_executions h where h.run_id = run);
end;
$$;

-- Whether there is more below a run than phases, tasks and steps.
create function run_has_more(run uuid) returns boolean language plpgsql stable as $$
begin
    return exists (select from release_attempts a where a.run_id = run)
        or exists (select from release_attempt_runs w where w.run_id = run)
        or exists (select from releases e where e.run_id = run)
        or exists (select from release_triggers g where g.run_id = run)
        or exists (select from deployments d where d.run_id = run);
end;
$$;

-- Create the run of an event, with its event of the platform and its audit event, or find the newest attempt of it.
-- Nothing is returned for a repository that is not registered, and `created` is null where others were faster five times.
-- `event_data` and `audit_after` are what both events say of the run, without what is known only here.
-- Fails with FG429 where the budget is used up; the detail is the seconds to wait.
create function create_run(
    run_id uuid, repository_owner text, repository_name text, sha text, run_branch text, run_tag text, run_ref text,
    run_trigger text, actor text, context jsonb, traceparent text, again boolean,
    event_id uuid, event_data jsonb, audit_id uuid, request text, trace_id text, audit_after jsonb,
    budget text, cost interval, whole interval
) returns table (created boolean, run pipeline_runs) language plpgsql as $$
#variable_conflict use_column
declare
    repository uuid;
    base uuid;
    number integer;
    wait double precision;
    changed jsonb;
begin
    select id into repository from repositories where owner = repository_owner and name = repository_name;
    if repository is null then
        return;
    end if;
    -- Two requests at once may choose one attempt number; the loser sees the winner's row the next time.
    for tried in 1..5 loop
        -- Taken before looking: a run that is stored after this has the number, so that the insert below finds it.
        select coalesce(max(r.attempt), 0) + 1 into number from pipeline_runs r
        where r.repository_id = repository and r.commit_sha = sha;
        -- The newest attempt is looked for among those of the same event: a tag, or another branch, is an attempt of
        -- its own, which is based on the newest attempt of any event.
        select r.* into run from pipeline_runs r
        where r.repository_id = repository and r.commit_sha = sha and r.release_request is null
            and (run_branch is null and run_tag is null
                 or r.branch is not distinct from run_branch and r.tag is not distinct from run_tag
                    and (r.trigger_type = 'pull_request') = (run_trigger = 'pull_request'))
        order by r.attempt desc limit 1;
        if found and not again and not run.cancel_requested and run.status in ('pending', 'running', 'success') then
            created := false;
            return next;
            return;
        end if;
        base := null;
        if not found and not again then
            select r.id into base from pipeline_runs r
            where r.repository_id = repository and r.commit_sha = sha and r.release_request is null
            order by r.attempt desc limit 1;
        end if;
        insert into pipeline_runs as r (id, repository_id, commit_sha, branch, tag, ref, trigger_type, triggered_by,
                                        github_context, trace, request_id, based_on, attempt)
        values (run_id, repository, sha, run_branch, run_tag, run_ref, run_trigger, actor, context, traceparent,
                request, base, number)
        on conflict on constraint pipeline_runs_commit_attempt_key do nothing
        returning r.* into run;
        if found then
            created := true;
            exit;
        end if;
    end loop;
    if created then
        wait := take_budget(budget, cost, whole);
        if wait is not null then
            raise exception 'the budget % is used up', budget using errcode = 'FG429', detail = wait::text;
        end if;
        changed := jsonb_build_object('attempt', run.attempt, 'based_on', run.based_on);
        insert into event_outbox (id, type, subject, data, trace)
        values (event_id, 'pipeline.run.created', 'run/' || run_id,
                event_data || changed || jsonb_build_object('created_at', utc_text(run.created_at)), traceparent);
        perform append_audit_event(audit_id, actor, 'run.created', 'run/' || run_id, request, trace_id, null,
                                   audit_after || changed);
    end if;
    return next;
end;
$$;
