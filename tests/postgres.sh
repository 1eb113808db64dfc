#!/bin/sh
# Runs a command beside a throw-away PostgreSQL, whose URL it finds in WEIR_TEST_POSTGRES.
#
#   tests/postgres.sh cargo test
#
# The server listens on a socket in a folder of its own and on a free port of loopback; both go when the command ends.
set -eu

bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
[ -n "$bin" ] || { echo "PostgreSQL is not installed" >&2; exit 1; }
folder=$(mktemp -d)

# initdb refuses to run as root.
as=""
if [ "$(id -u)" = 0 ]; then
    chown postgres "$folder"
    as="setpriv --reuid=postgres --regid=postgres --clear-groups env HOME=$folder"
fi
end() {
    status=$?
    trap - EXIT INT TERM
    (cd / && $as "$bin/pg_ctl" -D "$folder/data" -m immediate -w stop >/dev/null 2>&1) || true
    rm -rf "$folder"
    exit $status
}
trap end EXIT INT TERM

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
(cd / && $as "$bin/initdb" -D "$folder/data" -U weir -A trust -E UTF8 --no-locale --no-sync >"$folder/initdb.log" 2>&1) || { cat "$folder/initdb.log" >&2; exit 1; }
(cd / && $as "$bin/pg_ctl" -D "$folder/data" -w -t 60 -l "$folder/data/log" \
    -o "-h 127.0.0.1 -p $port -k $folder -c fsync=off -c max_connections=200" start >/dev/null) || { cat "$folder/data/log" >&2; exit 1; }
(cd / && $as "$bin/createdb" -h 127.0.0.1 -p "$port" -U weir weir)

WEIR_TEST_POSTGRES="postgres://weir@127.0.0.1:$port/weir" "$@"
