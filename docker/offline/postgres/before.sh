#!/bin/sh
# Runs before the packages are installed: the official image's user id, and no cluster made by the package.
set -eu
root=$1
# By hand: the tools that add users are not there yet.
echo "postgres:x:999:" >>"$root/etc/group"
echo "postgres:x:999:999::/var/lib/postgresql:/bin/bash" >>"$root/etc/passwd"
mkdir -p "$root/etc/postgresql-common/createcluster.d"
echo "create_main_cluster = false" >"$root/etc/postgresql-common/createcluster.d/docker.conf"
