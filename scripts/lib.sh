# shellcheck shell=bash disable=SC2034  # sourced: what it sets is used elsewhere
# Shared by the set-up scripts: where things are kept, and how a script speaks.
# Sourced, never run.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Everything that set-up makes lives here, outside the checkout, so that a fresh clone starts warm.
CACHE=${MILLSTREAM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/millstream}

say() { printf 'setup: %s\n' "$*" >&2; }

# die WHAT WHAT_TO_DO
die() {
    printf 'setup: FAILED: %s\n' "$1" >&2
    [ $# -lt 2 ] || printf 'setup: try: %s\n' "$2" >&2
    exit 1
}

# Prints the seconds since the epoch given as $1.
since() { echo $(($(date +%s) - $1)); }
