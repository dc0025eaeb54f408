#!/usr/bin/env bash
# Starts PostgreSQL, after making a cluster from POSTGRES_* at the first start: the official image's contract.
set -Eeuo pipefail

fail() { printf 'error: %s\n' "$@" >&2; exit 1; }

# file_env NAME [DEFAULT]: NAME, or the content of the file that NAME_FILE names
file_env() {
    local name=$1 file="${1}_FILE" value=${2:-}
    [ -z "${!name:-}" ] || [ -z "${!file:-}" ] || fail "both $name and $file are set (but are exclusive)"
    if [ -n "${!name:-}" ]; then value=${!name}; elif [ -n "${!file:-}" ]; then value=$(<"${!file}"); fi
    export "$name=$value"
    unset "$file"
}

read_environment() {
    file_env POSTGRES_PASSWORD
    file_env POSTGRES_USER postgres
    file_env POSTGRES_DB "$POSTGRES_USER"
    file_env POSTGRES_INITDB_ARGS
}

cluster_exists() { [ -s "$PGDATA/PG_VERSION" ]; }

as_root_prepare_folders() {
    mkdir -p "$PGDATA" /var/run/postgresql
    chmod 00700 "$PGDATA" || true
    chmod 03775 /var/run/postgresql || true
    find "$PGDATA" /var/run/postgresql \! -user postgres -exec chown postgres '{}' +
}

# Before 18 the data lay in /var/lib/postgresql/data: a volume mounted there now would stay empty, and the
# cluster would be lost with the container.
refuse_old_mount() {
    local old=/var/lib/postgresql/data
    [ "$PGDATA" = "$old" ] || ! grep -q " $old " /proc/self/mounts && [ ! -s "$old/PG_VERSION" ] || fail \
        "in 18+, these images store the data in $PGDATA and expect the volume at /var/lib/postgresql." \
        "There is a volume (or data) at $old, which would not be used."
}

refuse_missing_password() {
    [ -n "$POSTGRES_PASSWORD" ] || [ "${POSTGRES_HOST_AUTH_METHOD:-}" = trust ] || fail \
        "Database is uninitialized and superuser password is not specified." \
        "Set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE to a non-empty value," \
        "or POSTGRES_HOST_AUTH_METHOD=trust to allow all connections without a password."
}

make_cluster() {
    local options=(--username="$POSTGRES_USER")
    [ -z "${POSTGRES_INITDB_WALDIR:-}" ] || options+=(--waldir="$POSTGRES_INITDB_WALDIR")
    # POSTGRES_INITDB_ARGS is a command line: its words and quotes are meant for the shell.
    eval 'initdb "${options[@]}" --pwfile=<(printf "%s\n" "$POSTGRES_PASSWORD") '"$POSTGRES_INITDB_ARGS"
    printf '\nhost all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD:-$(postgres -C password_encryption)}" \
        >>"$PGDATA/pg_hba.conf"
}

# Without TCP nobody outside takes the server of the first minutes for the real one.
temporary_server() {
    local action=$1
    shift
    if [ "$action" = start ]; then
        set -- "$@" -c listen_addresses='' -p "${PGPORT:-5432}"
        NOTIFY_SOCKET='' PGUSER=$POSTGRES_USER pg_ctl -D "$PGDATA" -o "$(printf '%q ' "$@")" -w start
    else
        PGUSER=$POSTGRES_USER pg_ctl -D "$PGDATA" -m fast -w stop
    fi
}

run_sql() {
    PGHOST='' PGHOSTADDR='' PGPASSWORD=$POSTGRES_PASSWORD \
        psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --no-password "$@"
}

make_database() {
    [ "$POSTGRES_DB" != postgres ] || return 0
    run_sql --dbname postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db";'
}

run_init_file() {
    case $1 in
    *.sh) if [ -x "$1" ]; then "$1"; else . "$1"; fi ;;
    *.sql) run_sql --dbname "$POSTGRES_DB" --file "$1" ;;
    *.sql.gz) gunzip --stdout "$1" | run_sql --dbname "$POSTGRES_DB" ;;
    *.sql.xz) xzcat "$1" | run_sql --dbname "$POSTGRES_DB" ;;
    *.sql.zst) zstd --decompress --stdout "$1" | run_sql --dbname "$POSTGRES_DB" ;;
    *) echo "$0: ignoring $1" ;;
    esac
}

run_init_files() {
    local file
    for file in /docker-entrypoint-initdb.d/*; do
        [ ! -e "$file" ] || { echo "$0: running $file"; run_init_file "$file"; }
    done
}

first_start() {
    refuse_missing_password
    refuse_old_mount
    make_cluster
    temporary_server start "$@"
    make_database
    run_init_files
    temporary_server stop
    printf '\nPostgreSQL init process complete; ready for start up.\n\n'
}

only_asks() {
    local argument
    for argument; do
        case $argument in -'?' | --help | --describe-config | -V | --version | -C) return 0 ;; esac
    done
    return 1
}

case ${1:-} in -*) set -- postgres "$@" ;; esac
if [ "$1" = postgres ] && ! only_asks "$@"; then
    if [ "$(id -u)" = 0 ]; then
        as_root_prepare_folders
        exec setpriv --reuid=postgres --regid=postgres --init-groups "${BASH_SOURCE[0]}" "$@"
    fi
    mkdir -p "$PGDATA"
    read_environment
    if cluster_exists; then
        printf '\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n'
    else
        first_start "${@:2}"
    fi
    unset POSTGRES_PASSWORD
fi
exec "$@"
