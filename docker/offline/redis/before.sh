#!/bin/sh
# Runs before the packages are installed: the official image's user id.
set -eu
root=$1
# By hand: the tools that add users are not there yet.
echo "redis:x:999:" >>"$root/etc/group"
echo "redis:x:999:999::/data:/usr/sbin/nologin" >>"$root/etc/passwd"
