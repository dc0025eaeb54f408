#!/bin/sh
# Runs in the finished root: `python` and `pip` in /usr/local/bin, where the official image has them.
set -eu
root=$1
libraries=/usr/local/lib/python3.13/dist-packages

# The mark would stop `pip install`, which is what this image is for.
rm -f "$root/usr/lib/python3.13/EXTERNALLY-MANAGED"
for name in python python3 python3.13; do ln -sf /usr/bin/python3.13 "$root/usr/local/bin/$name"; done
mkdir -p "$root$libraries"
chroot "$root" sh -c "python3 -m zipfile -e /usr/share/python-wheels/pip-*.whl $libraries"
printf '#!/usr/local/bin/python3\nimport sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n' \
    >"$root/usr/local/bin/pip"
chmod 0755 "$root/usr/local/bin/pip"
ln -sf pip "$root/usr/local/bin/pip3"
rm -rf "$root/var/cache/debconf" "$root/var/log/"*
