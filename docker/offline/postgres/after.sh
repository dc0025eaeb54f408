#!/bin/sh
# Runs in the finished root: locale, defaults, folders, entry point.
set -eu
root=$1
here=$(cd "$(dirname "$0")" && pwd)

# The official image sorts by en_US.utf8; with another locale the same ORDER BY would give another order.
chroot "$root" localedef -i en_US -c -f UTF-8 en_US.UTF-8
rm -rf "$root/usr/share/i18n"

sed -i "s/^#*listen_addresses .*/listen_addresses = '*'/" "$root/usr/share/postgresql/18/postgresql.conf.sample"
rm -rf "$root/var/lib/postgresql" "$root/var/cache/debconf" "$root/var/log/"*
mkdir -p "$root/docker-entrypoint-initdb.d"
chroot "$root" install --directory --owner postgres --group postgres --mode 1777 /var/lib/postgresql
chroot "$root" install --directory --owner postgres --group postgres --mode 3777 /var/run/postgresql
install --mode 0755 "$here/docker-entrypoint.sh" "$root/usr/local/bin/docker-entrypoint.sh"
