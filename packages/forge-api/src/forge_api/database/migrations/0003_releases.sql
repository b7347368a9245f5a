-- Manual releases and retries, deployments with an intent, holds on automatic deployments.

-- A run with this has only the release stage of one project: {project, branch, tag, aliases, retry, rebuild}.
alter table pipeline_runs add column release_request jsonb;

-- The runs that have worked on an attempt; `release_attempts.run_id` is the newest one.
create table release_attempt_runs (
    attempt_id uuid not null references release_attempts (id) on delete cascade,
    run_id uuid not null references pipeline_runs (id) on delete cascade,
    primary key (attempt_id, run_id)
);
create index release_attempt_runs_run_index on release_attempt_runs (run_id);
insert into release_attempt_runs (attempt_id, run_id)
select id, run_id from release_attempts where run_id is not null;
create index release_attempts_commit_index on release_attempts (project_id, commit_sha);

alter table deployments
    add column automatic boolean not null default false,
    add column intent text check (intent in ('rollback', 'divergent'));
update deployments set automatic = true where run_id is not null;

create table holds (
    id uuid primary key,
    project_id uuid not null references projects (id) on delete cascade,
    environment text not null,
    reason text not null,
    set_by text not null,
    deployment_id uuid references deployments (id) on delete set null,
    created_at timestamptz not null default now(),
    constraint holds_project_environment_key unique (project_id, environment)
);

-- The run whose job made the record, and whether a failed attempt's sealed copies may be gone on from.
alter table attempt_artifacts add column run_id uuid references pipeline_runs (id) on delete set null;
update attempt_artifacts f set run_id = a.run_id from release_attempts a where a.id = f.attempt_id and f.record is not null;
alter table release_attempts add column reusable boolean not null default true;
