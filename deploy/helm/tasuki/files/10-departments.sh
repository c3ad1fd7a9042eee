#!/bin/bash
# Runs once, when the data folder is empty: a database and a user for every department. A user connects to the database of
# its department and to no other.
set -euo pipefail
for department in marketing insidesales fieldsales customersuccess; do
  variable=${department^^}_PASSWORD
  psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
    --set "name=$department" --set "password=${!variable:?is not set}" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name" ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done
# The databases that are there anyway are nobody's.
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
  --command 'REVOKE CONNECT ON DATABASE postgres FROM PUBLIC' --command 'REVOKE CONNECT ON DATABASE template1 FROM PUBLIC'
