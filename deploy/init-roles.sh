#!/bin/sh
# Run once by the postgres image, on an empty data folder (docker-compose.yml): the roles, with the passwords from the secrets.
set -eu
psql --no-psqlrc --quiet --username "$POSTGRES_USER" --dbname postgres \
    -v maintenance_password="$(cat /run/secrets/maintenance_password)" \
    -v app_password="$(cat /run/secrets/app_password)" \
    -f /roles.sql
