#!/usr/bin/env bash
# Builds postgres:18, redis:8 and python:3.13-slim from Debian packages, for hosts that reach no image registry.
#
# The images carry the official names and follow the official images' environment contract, so that every other
# command works unchanged. One that is present already is left alone. `--pull` asks the registry first and builds
# only what it did not give.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../debian.sh
. "$here/../debian.sh"

IMAGES=(postgres redis python)
PULL=no
[ "${1:-}" != --pull ] || PULL=yes

say() { echo "offline-images: $*" >&2; }
label() { docker image inspect --format '{{index .Config.Labels "plinth.offline"}}' "$1" 2>/dev/null; }

# recipe NAME: reads TAG, SUITE and PACKAGES of one image
recipe() {
    # shellcheck source=/dev/null
    . "$here/$1/recipe"
}

present() {
    local made_here
    made_here=$(label "$1") || return 1
    if [ -n "$made_here" ]; then say "$1 is present (built offline)"; else say "$1 is present"; fi
}

pulled() {
    [ "$PULL" = yes ] && timeout 600 docker pull --quiet "$1" >/dev/null 2>&1 && say "$1 pulled"
}

# bootstrap NAME FILE: the root file system as a tar file.
# Documentation and translations are a third of a small image and nobody reads them there.
bootstrap() {
    mmdebstrap --quiet --variant=essential --include="${PACKAGES// /,}" \
        --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Check-Valid-Until "false"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/lintian/*' \
        --essential-hook="$here/$1/before.sh \"\$1\"" --customize-hook="$here/$1/after.sh \"\$1\"" \
        "$SUITE" "$2" "$(debian_source "$SUITE")"
}

# The file `image` holds Dockerfile instructions: what `docker import` turns into the image's configuration.
changes() {
    grep -v '^#' "$here/$1/image"
    echo "LABEL plinth.offline=$SUITE org.opencontainers.image.title=$TAG"
}

size() { docker image inspect --format '{{.Size}}' "$1" | numfmt --to=si --suffix=B; }

build() {
    local started=$SECONDS change=() root=$WORK/$1.tar
    while IFS= read -r line; do change+=(--change "$line"); done < <(changes "$1")
    bootstrap "$1" "$root" || return 1
    docker import "${change[@]}" "$root" "$TAG" >/dev/null || return 1
    rm -f "$root"
    say "$TAG built in $((SECONDS - started)) s, $(size "$TAG")"
}

ensure() {
    recipe "$1"
    present "$TAG" || pulled "$TAG" || build "$1"
}

missing() {
    for name in "${IMAGES[@]}"; do (recipe "$name" && label "$TAG" >/dev/null) || return 0; done
    return 1
}

docker version >/dev/null || { say "no Docker engine answers: start one, or run .ci/engine start"; exit 1; }
if missing && [ "$PULL" = no ]; then host_packages mmdebstrap; fi
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
jobs=()
for name in "${IMAGES[@]}"; do ensure "$name" & jobs+=($!); done
failed=0
for job in "${jobs[@]}"; do wait "$job" || failed=1; done
exit "$failed"
