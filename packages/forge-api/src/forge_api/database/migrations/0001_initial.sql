-- Entities of the first version. Identifiers are UUIDs of version 7, made by the application.

create table repositories (
    id uuid primary key,
    owner text not null,
    name text not null,
    clone_url text not null,
    git_credentials jsonb,
    default_branch text not null default 'main',
    registered_by text not null,
    quotas jsonb not null default '{}',
    secret_policy jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint repositories_owner_name_key unique (owner, name)
);

create table projects (
    id uuid primary key,
    repository_id uuid not null references repositories (id),
    name text not null,
    path text not null,
    slug text not null,
    last_release_number integer not null default 0 check (last_release_number >= 0),
    last_seen_commit text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint projects_repository_name_key unique (repository_id, name),
    constraint projects_slug_key unique (slug)
);

create table pipeline_runs (
    id uuid primary key,
    repository_id uuid not null references repositories (id),
    commit_sha text not null check (commit_sha ~ '^[0-9a-f]{40}$'),
    attempt integer not null check (attempt >= 1),
    branch text,
    tag text,
    ref text,
    trigger_type text not null check (trigger_type in ('push', 'tag', 'pull_request', 'manual')),
    triggered_by text not null,
    status text not null default 'pending'
        check (status in ('pending', 'running', 'success', 'failed', 'cancelled', 'errored')),
    cancel_requested boolean not null default false,
    workflow_name text,
    github_context jsonb,
    discovery_ref text,
    warnings jsonb not null default '[]',
    error jsonb,
    trace text,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    completed_at timestamptz,
    constraint pipeline_runs_commit_attempt_key unique (repository_id, commit_sha, attempt)
);
create index pipeline_runs_branch_index on pipeline_runs (repository_id, branch, created_at);
create index pipeline_runs_repository_index on pipeline_runs (repository_id, id);
create index pipeline_runs_active_index on pipeline_runs (id) where status in ('pending', 'running');

create table phase_executions (
    id uuid primary key,
    run_id uuid not null references pipeline_runs (id) on delete cascade,
    phase_name text not null,
    group_number integer not null,
    status text not null default 'pending'
        check (status in ('pending', 'running', 'success', 'failed', 'cancelled', 'skipped')),
    created_at timestamptz not null default now(),
    started_at timestamptz,
    completed_at timestamptz,
    constraint phase_executions_run_name_key unique (run_id, phase_name)
);

create table task_executions (
    id uuid primary key,
    phase_id uuid not null references phase_executions (id) on delete cascade,
    project_name text not null,
    project_path text not null,
    status text not null default 'pending'
        check (status in ('pending', 'running', 'success', 'failed', 'cancelled', 'skipped')),
    created_at timestamptz not null default now(),
    started_at timestamptz,
    completed_at timestamptz,
    constraint task_executions_phase_project_key unique (phase_id, project_name)
);

create table step_executions (
    id uuid primary key,
    task_id uuid not null references task_executions (id) on delete cascade,
    step_name text not null,
    action text not null,
    target text,
    status text not null default 'pending'
        check (status in ('pending', 'running', 'success', 'failed', 'cancelled', 'skipped')),
    exit_code integer,
    logs_key text,
    error jsonb,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    completed_at timestamptz,
    constraint step_executions_task_name_key unique (task_id, step_name)
);

-- Logs of jobs that have one log and no steps (discovery, artifact, release, deployment), by the job's id.
create table job_logs (
    job_id uuid primary key,
    run_id uuid references pipeline_runs (id) on delete cascade,
    logs_key text not null,
    created_at timestamptz not null default now()
);

-- The id of an attempt is reserved for the release that it makes.
create table release_attempts (
    id uuid primary key,
    run_id uuid references pipeline_runs (id) on delete set null,
    project_id uuid not null references projects (id),
    commit_sha text not null check (commit_sha ~ '^[0-9a-f]{40}$'),
    state text not null default 'planned' check (state in (
        'planned', 'building', 'awaiting_signature', 'sealed', 'publishing', 'packing', 'failed', 'recorded')),
    logs_key text,
    error jsonb,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    completed_at timestamptz,
    constraint release_attempts_run_project_key unique (run_id, project_id)
);
create unique index release_attempts_open_key on release_attempts (project_id, commit_sha)
    where state not in ('failed', 'recorded');

create table attempt_artifacts (
    id uuid primary key,
    attempt_id uuid not null references release_attempts (id) on delete cascade,
    name text not null,
    type text not null check (type in ('container', 'binary', 'archive')),
    logs_key text,
    record jsonb,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint attempt_artifacts_attempt_name_key unique (attempt_id, name)
);

create table publish_records (
    id uuid primary key,
    attempt_id uuid not null,
    artifact text not null,
    publisher text not null,
    file text not null,
    digest text not null,
    state text not null
        check (state in ('planned', 'published', 'identical', 'conflict', 'failed', 'given-up')),
    uri text not null default '',
    error jsonb,
    token bigint not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint publish_records_file_key unique (attempt_id, artifact, publisher, file),
    constraint publish_records_artifact_fkey foreign key (attempt_id, artifact)
        references attempt_artifacts (attempt_id, name) on delete cascade
);

create table releases (
    id uuid primary key,
    repository_id uuid not null references repositories (id),
    project_id uuid not null references projects (id),
    commit_sha text not null check (commit_sha ~ '^[0-9a-f]{40}$'),
    release_number integer not null check (release_number >= 1),
    run_id uuid references pipeline_runs (id) on delete set null,
    status text not null check (status in ('complete', 'partial')),
    oci_uri text not null,
    oci_digest text not null,
    created_by text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint releases_triplet_key unique (repository_id, project_id, commit_sha),
    constraint releases_number_key unique (repository_id, project_id, release_number)
);
create index releases_project_index on releases (project_id, release_number);
create index releases_run_index on releases (run_id);

create table release_aliases (
    id uuid primary key,
    release_id uuid not null references releases (id) on delete cascade,
    project_id uuid not null references projects (id),
    alias text not null,
    alias_type text not null check (alias_type in ('numeric', 'tag', 'branch', 'custom')),
    created_at timestamptz not null default now(),
    constraint release_aliases_project_alias_key unique (project_id, alias)
);
create index release_aliases_release_index on release_aliases (release_id);

create table release_triggers (
    id uuid primary key,
    release_id uuid not null references releases (id) on delete cascade,
    trigger_type text not null check (trigger_type in ('branch_push', 'tag', 'manual')),
    branch text,
    tag text,
    triggered_by text not null,
    triggered_at timestamptz not null default now()
);
create index release_triggers_release_index on release_triggers (release_id);

create table release_artifacts (
    id uuid primary key,
    release_id uuid not null references releases (id) on delete cascade,
    artifact_name text not null,
    artifact_type text not null check (artifact_type in ('container', 'binary', 'archive')),
    tracking_oci_uri text not null,
    tracking_oci_digest text not null,
    primary_published_uri text,
    publisher_results jsonb not null default '[]',
    created_at timestamptz not null default now(),
    constraint release_artifacts_release_name_key unique (release_id, artifact_name)
);

create table deployments (
    id uuid primary key,
    release_id uuid not null references releases (id),
    project_id uuid not null references projects (id),
    run_id uuid references pipeline_runs (id) on delete set null,
    environment text not null,
    status text not null
        check (status in ('queued', 'pending', 'active', 'superseded', 'failed', 'refused')),
    deployed_by text not null,
    deployed_at timestamptz,
    gitops_commit_sha text,
    approval_ids uuid[] not null default '{}',
    error jsonb,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create unique index deployments_active_key on deployments (project_id, environment) where status = 'active';
create unique index deployments_pending_key on deployments (project_id, environment) where status = 'pending';
create index deployments_history_index on deployments (project_id, environment, created_at);
create index deployments_release_index on deployments (release_id);
create index deployments_run_index on deployments (run_id);

-- The highest fencing token that was seen of each job: a write with a lower one comes from an orphan.
create table job_tokens (
    job_id uuid primary key,
    token bigint not null check (token >= 0),
    updated_at timestamptz not null default now()
);

create table plugin_sets (
    service text primary key,
    pools jsonb not null default '[]',
    plugins jsonb not null default '[]',
    problems jsonb not null default '[]',
    updated_at timestamptz not null default now()
);

create table audit_events (
    sequence bigint primary key check (sequence >= 1),
    id uuid not null unique,
    occurred_at timestamptz not null,
    actor text not null,
    action text not null,
    subject text not null,
    request_id text,
    trace_id text,
    before jsonb,
    after jsonb,
    previous_hash text not null,
    hash text not null unique
);
create index audit_events_subject_index on audit_events (subject, sequence);

create function refuse_audit_change() returns trigger language plpgsql as $$
begin
    raise exception 'audit events are append-only' using errcode = 'insufficient_privilege';
end;
$$;
create trigger audit_events_append_only before update or delete on audit_events
    for each row execute function refuse_audit_change();
create trigger audit_events_no_truncate before truncate on audit_events
    for each statement execute function refuse_audit_change();

-- Events leave in the order of `sequence` and are deleted once the stream has them.
create table event_outbox (
    sequence bigint generated always as identity primary key,
    id uuid not null unique,
    type text not null,
    subject text not null,
    data jsonb not null,
    trace text,
    occurred_at timestamptz not null default now()
);

create table idempotency_keys (
    actor text not null,
    key text not null,
    request_digest text not null,
    status integer,
    body bytea,
    created_at timestamptz not null default now(),
    primary key (actor, key)
);
create index idempotency_keys_age_index on idempotency_keys (created_at);
