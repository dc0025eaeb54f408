#!/bin/sh
# Runs in the finished root: data folder and entry point.
set -eu
root=$1
here=$(cd "$(dirname "$0")" && pwd)

rm -rf "$root/var/lib/redis" "$root/var/cache/debconf" "$root/var/log/"*
chroot "$root" install --directory --owner redis --group redis /data
install --mode 0755 "$here/docker-entrypoint.sh" "$root/usr/local/bin/docker-entrypoint.sh"
