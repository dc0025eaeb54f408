#!/usr/bin/env bash
# Starts Redis as the user redis, reachable from other containers: the official image's contract.
set -euo pipefail

# `docker run redis:8 --save 60 1` and `docker run redis:8 /etc/redis.conf` mean redis-server
case ${1:-} in -* | *.conf) set -- redis-server "$@" ;; esac

# The distribution's build listens to loopback only until a password is set; the official one does not.
mentions_protected_mode() {
    local argument
    for argument; do
        case $argument in
        --protected-mode) return 0 ;;
        *.conf) ! grep -qs '^[[:space:]]*protected-mode' "$argument" || return 0 ;;
        esac
    done
    return 1
}

if [ "${1:-}" = redis-server ]; then
    if [ "$(id -u)" = 0 ]; then
        find . \! -user redis -exec chown redis '{}' +
        exec setpriv --reuid=redis --regid=redis --init-groups "${BASH_SOURCE[0]}" "$@"
    fi
    # Files written to /data are for this user only.
    [ "$(umask)" != 0022 ] || umask 0077
    mentions_protected_mode "$@" || set -- "$@" --protected-mode no
fi
exec "$@"
