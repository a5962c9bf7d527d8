#!/bin/sh
# Run once by the postgres image, on an empty data folder (docker-compose.yml): the roles, with the passwords from the secrets.
# For a data folder that is older than a role: docker compose exec postgres sh /docker-entrypoint-initdb.d/init-roles.sh
set -eu
psql --no-psqlrc --quiet --username "${POSTGRES_USER:-postgres}" --dbname postgres \
    -v maintenance_password="$(cat /run/secrets/maintenance_password)" \
    -v sequencer_password="$(cat /run/secrets/sequencer_password)" \
    -v app_password="$(cat /run/secrets/app_password)" \
    -f /roles.sql
