-- The three roles and the database, for a PostgreSQL of your own. Run as superuser; a second run makes what is missing and changes
-- the passwords:
--
--   psql -v maintenance_password=... -v sequencer_password=... -v app_password=... -f deploy/roles.sql
--
-- auditlog_maintenance owns the tables (migrations, archiver): MAINTENANCE_DATABASE_URL.
-- auditlog_sequencer gives batches their positions and writes the trees; it can't read an entry: SEQUENCER_DATABASE_URL.
-- auditlog_app may add entries and read them through the tenant's view; migrations grant it no more: DATABASE_URL.

\set ON_ERROR_STOP on

SELECT format('CREATE ROLE %I', name)
FROM unnest(ARRAY ['auditlog_maintenance', 'auditlog_sequencer', 'auditlog_app']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

ALTER ROLE auditlog_maintenance LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'maintenance_password';
ALTER ROLE auditlog_sequencer LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'sequencer_password';
ALTER ROLE auditlog_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'app_password';

SELECT 'CREATE DATABASE auditlog OWNER auditlog_maintenance'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'auditlog')
\gexec
