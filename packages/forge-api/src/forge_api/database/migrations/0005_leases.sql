-- Who may write referrers of an image now: a registry without the referrers API keeps them in one tag, which two writers would
-- overwrite for each other.
create table leases (
    subject text primary key,
    job_id uuid not null,
    expires_at timestamptz not null
);
