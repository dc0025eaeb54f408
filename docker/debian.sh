# Reaches another Debian suite without touching the host's own apt configuration (sourced by bash scripts).

# The mirror is the one that this host uses already, so that no address has to be written down here.
debian_mirror() {
    local uri=${PLINTH_DEBIAN_MIRROR:-}
    [ -n "$uri" ] || uri=$(apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' |
        awk '$1 == "Debian" && $2 == "Debian" {print $3; exit}')
    [ -n "$uri" ] || {
        echo "No Debian mirror in the apt configuration of this host: name one in PLINTH_DEBIAN_MIRROR." >&2
        return 1
    }
    echo "$uri"
}

debian_keyring() {
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -r "$keyring" ] || host_packages debian-archive-keyring
    echo "$keyring"
}

# debian_source SUITE: one line for a sources.list
debian_source() {
    echo "deb [signed-by=$(debian_keyring) check-valid-until=no] $(debian_mirror) $1 main"
}

installed() { [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# host_packages NAME...: install what is missing from the host's own suite
host_packages() {
    local missing=()
    for name in "$@"; do installed "$name" || missing+=("$name"); done
    [ ${#missing[@]} -gt 0 ] || return 0
    export DEBIAN_FRONTEND=noninteractive
    # A source of the host that does not answer is no reason to stop: what is missing after that is told below.
    apt-get -qq update >&2 || true
    apt-get -qq install --yes --no-install-recommends "${missing[@]}" >/dev/null
}

# debian_download SUITE DIR NAME...: fetch packages of another suite into DIR (lists are kept under DIR/.apt)
debian_download() {
    local suite=$1 dir=$2 state=$2/.apt
    shift 2
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
    debian_source "$suite" >"$state/sources.list"
    : >"$state/status"
    cat >"$state/apt.conf" <<CONF
Dir::Etc::SourceList "$state/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State "$state";
Dir::State::Status "$state/status";
Dir::Cache "$state/cache";
Acquire::Languages "none";
APT::Sandbox::User "root";
CONF
    APT_CONFIG=$state/apt.conf apt-get -qq update >&2
    (cd "$dir" && APT_CONFIG=$state/apt.conf apt-get -qq download "$@" >&2)
}
