"""The database: migrations, pool and queries. Nothing else in the platform talks to PostgreSQL."""
