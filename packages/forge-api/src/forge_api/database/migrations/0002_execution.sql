-- Attempts that go on from another run, runs that wait for or replace each other, notifications, rate limits.

alter table pipeline_runs
    add column based_on uuid references pipeline_runs (id) on delete set null,
    add column concurrency text check (concurrency in ('cancel', 'queue')),
    add column releases boolean,
    add column waiting_for uuid,
    add column superseded_by uuid;
create index pipeline_runs_active_branch_index on pipeline_runs (repository_id, branch, id)
    where status in ('pending', 'running');

-- Why a task failed, also where no step of it did.
alter table task_executions add column error jsonb;

-- The run whose event gave a release this trigger.
alter table release_triggers add column run_id uuid references pipeline_runs (id) on delete set null;
create index release_triggers_run_index on release_triggers (run_id);

-- One row for each thing that is limited: the time at which its budget is full again.
create table rate_limits (
    key text primary key,
    full_at timestamptz not null
);
create index rate_limits_age_index on rate_limits (full_at);

alter table plugin_sets add column slots jsonb not null default '{}';

create index audit_events_actor_index on audit_events (actor, sequence);

-- Whoever shows a run is told that something of it has changed: `forge_runs`, the run's id.
create function notify_run() returns trigger language plpgsql as $$
begin
    perform pg_notify('forge_runs', found.id::text) from (select distinct id from changed) found;
    return null;
end;
$$;
create function notify_run_of_row() returns trigger language plpgsql as $$
begin
    perform pg_notify('forge_runs', found.run_id::text)
    from (select distinct run_id from changed where run_id is not null) found;
    return null;
end;
$$;
create function notify_run_of_task() returns trigger language plpgsql as $$
begin
    perform pg_notify('forge_runs', found.run_id::text)
    from (select distinct h.run_id from changed c join phase_executions h on h.id = c.phase_id) found;
    return null;
end;
$$;
create function notify_run_of_step() returns trigger language plpgsql as $$
begin
    perform pg_notify('forge_runs', found.run_id::text)
    from (select distinct h.run_id from changed c join task_executions t on t.id = c.task_id
          join phase_executions h on h.id = t.phase_id) found;
    return null;
end;
$$;
create function notify_run_of_attempt() returns trigger language plpgsql as $$
begin
    perform pg_notify('forge_runs', found.run_id::text)
    from (select distinct a.run_id from changed c join release_attempts a on a.id = c.attempt_id
          where a.run_id is not null) found;
    return null;
end;
$$;
create trigger pipeline_runs_notify after update on pipeline_runs
    referencing new table as changed for each statement execute function notify_run();
create trigger phase_executions_notify after update on phase_executions
    referencing new table as changed for each statement execute function notify_run_of_row();
create trigger task_executions_notify after update on task_executions
    referencing new table as changed for each statement execute function notify_run_of_task();
create trigger step_executions_notify after update on step_executions
    referencing new table as changed for each statement execute function notify_run_of_step();
create trigger release_attempts_notify_insert after insert on release_attempts
    referencing new table as changed for each statement execute function notify_run_of_row();
create trigger release_attempts_notify_update after update on release_attempts
    referencing new table as changed for each statement execute function notify_run_of_row();
create trigger attempt_artifacts_notify after update on attempt_artifacts
    referencing new table as changed for each statement execute function notify_run_of_attempt();
create trigger publish_records_notify_insert after insert on publish_records
    referencing new table as changed for each statement execute function notify_run_of_attempt();
create trigger publish_records_notify_update after update on publish_records
    referencing new table as changed for each statement execute function notify_run_of_attempt();
create trigger release_triggers_notify after insert on release_triggers
    referencing new table as changed for each statement execute function notify_run_of_row();
create trigger deployments_notify_insert after insert on deployments
    referencing new table as changed for each statement execute function notify_run_of_row();
create trigger deployments_notify_update after update on deployments
    referencing new table as changed for each statement execute function notify_run_of_row();

-- The engine is told of work, whichever process stored it: `forge_plans`, `<kind>:<id>`.
create function notify_plan() returns trigger language plpgsql as $$
begin
    perform pg_notify('forge_plans', tg_argv[0] || ':' || new.id);
    return null;
end;
$$;
create trigger pipeline_runs_plan after insert on pipeline_runs
    for each row execute function notify_plan('run');
create trigger pipeline_runs_cancel after update on pipeline_runs
    for each row when (new.cancel_requested and not old.cancel_requested) execute function notify_plan('cancel');
create trigger deployments_plan_insert after insert on deployments
    for each row when (new.status = 'pending') execute function notify_plan('deployment');
create trigger deployments_plan_update after update on deployments
    for each row when (new.status = 'pending' and old.status <> 'pending') execute function notify_plan('deployment');
