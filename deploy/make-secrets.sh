#!/bin/sh
# Random passwords for compose.yaml, one file each, in a folder that only its owner enters. What is there stays as it is.
# The files themselves may be read by all: containers run as users of their own, whom the folder does not know.
set -eu
cd "$(dirname "$0")"
umask 022
mkdir -p secrets kite
chmod 700 secrets
for name in redis clickhouse_admin clickhouse_writer clickhouse_reader grafana_admin; do
    file="secrets/${name}_password"
    if [ ! -s "$file" ]; then
        head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n' > "$file"
        echo "made deploy/$file"
    fi
done
