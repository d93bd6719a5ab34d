#!/usr/bin/env bash
# Builds RocksDB's C++ library once for every cargo profile and keeps it outside the checkout.
#
#   rocksdb.sh dir     print the directory the library belongs in (for ROCKSDB_LIB_DIR); builds nothing
#   rocksdb.sh build   build it unless it is there already
#
# Why: the C++ build takes many minutes, and cargo would repeat it for each profile, target directory and feature
# change. librocksdb-sys links a prebuilt archive instead when ROCKSDB_LIB_DIR and ROCKSDB_STATIC are set.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Raise when the recipe below changes what it produces.
RECIPE=1

# The features of the workspace's rocksdb dependency, as cargo spells them: lz4,bindgen-runtime
features() {
    sed -n 's/^rocksdb = .*features = \[\([^]]*\)\].*/\1/p' "$ROOT/Cargo.toml" | tr -d '" '
}

# The workspace's version requirement of the rocksdb crate: =0.25.0
requirement() {
    sed -n 's/^rocksdb = .*version = "\([^"]*\)".*/\1/p' "$ROOT/Cargo.toml"
}

# locked NAME: the version of a crate in Cargo.lock
locked() {
    awk -v want="name = \"$1\"" '$0 == want { getline; gsub(/[^0-9a-zA-Z.+-]/, "", $3); print $3; exit }' "$ROOT/Cargo.lock"
}

key() {
    local version feature_part compiler
    version=$(locked librocksdb-sys)
    [ -n "$version" ] || die "Cargo.lock names no librocksdb-sys" "cargo metadata >/dev/null, in the checkout"
    feature_part=$(features | tr ',' '-')
    compiler=$(g++ -dumpfullversion 2>/dev/null || echo none)
    echo "rocksdb-${version//+/_}-$feature_part-gcc$compiler-$(uname -m)-r$RECIPE"
}

# A crate of one dependency, held to the workspace's lock file, so that the build needs nothing else of ours.
write_helper_crate() {
    mkdir -p "$1/src"
    cat > "$1/Cargo.toml" <<TOML
[package]
name = "rocksdb-prebuild"
version = "0.0.0"
edition = "2024"

[dependencies]
rocksdb = { version = "$(requirement)", default-features = false, features = [$(features | sed 's/[^,]*/"&"/g')] }

[profile.release.package.librocksdb-sys]
debug = false

[workspace]
TOML
    echo '//! Exists to have its dependency built.' > "$1/src/lib.rs"
    cp "$ROOT/Cargo.lock" "$1/Cargo.lock"
}

# Says every half minute how far the compiler is; ends with the script.
report_progress() {
    local began; began=$(date +%s)
    while sleep 30; do
        say "RocksDB: $(find "$1" -name '*.o' 2>/dev/null | wc -l) of about 350 files compiled, $(since "$began") s"
    done
}

# check_links DIR: a trivial program opens a database through the archive, so that a bad one is never kept.
check_links() {
    mkdir -p "$WORK/crate/src"
    cat > "$WORK/crate/src/main.rs" <<'RUST'
fn main() {
    let dir = std::env::args().nth(1).expect("a directory");
    let mut options = rocksdb::Options::default();
    options.create_if_missing(true);
    options.set_compression_type(rocksdb::DBCompressionType::Lz4);
    let db = rocksdb::DB::open(&options, dir).expect("open");
    db.put(b"k", vec![7_u8; 100_000]).expect("put");
    db.flush().expect("flush");
    assert_eq!(db.get(b"k").expect("get").map(|v| v.len()), Some(100_000));
}
RUST
    (cd "$WORK/crate" && ROCKSDB_LIB_DIR=$1 ROCKSDB_STATIC=1 CARGO_TARGET_DIR=$WORK/check \
        cargo run --quiet -- "$WORK/db") >> "$LOG" 2>&1
}

build() {
    local name dir began archive
    name=$(key)
    dir=$CACHE/$name
    [ -f "$dir/librocksdb.a" ] && return 0

    mkdir -p "$CACHE"
    exec 9> "$CACHE/.rocksdb.lock"
    flock 9                                   # two checkouts that start together build once
    [ -f "$dir/librocksdb.a" ] && return 0

    began=$(date +%s)
    WORK=$CACHE/build-$name
    LOG=$CACHE/$name.log
    say "building RocksDB once for all profiles (10 to 30 minutes on 2 cores; log: $LOG)"
    rm -rf "$WORK"
    write_helper_crate "$WORK/crate"
    report_progress "$WORK/target" & local reporter=$!
    # shellcheck disable=SC2064
    trap "kill $reporter 2>/dev/null || true" EXIT

    local cc=gcc cxx=g++
    if command -v ccache > /dev/null; then cc="ccache gcc"; cxx="ccache g++"; fi
    (cd "$WORK/crate" && env -u ROCKSDB_LIB_DIR -u ROCKSDB_STATIC CC="$cc" CXX="$cxx" CARGO_TARGET_DIR="$WORK/target" \
        cargo build --release) > "$LOG" 2>&1 || { tail -n 20 "$LOG" >&2; die "RocksDB did not build" "read $LOG"; }
    archive=$(find "$WORK/target" -name librocksdb.a | head -n 1)
    [ -n "$archive" ] || die "the build left no librocksdb.a" "read $LOG"

    mkdir -p "$WORK/out"
    cp "$archive" "$WORK/out/"
    say "checking that a program links with it"
    check_links "$WORK/out" || { tail -n 20 "$LOG" >&2; die "a test program does not run with the library" "read $LOG"; }
    mv -T "$WORK/out" "$dir"                  # atomic: an interrupted build is never taken for a finished one
    rm -rf "$WORK"
    kill "$reporter" 2> /dev/null || true
    say "RocksDB is ready in $dir ($(since "$began") s)"
}

case "${1:-}" in
    dir) name=$(key) && echo "$CACHE/$name" ;;
    build) build ;;
    *) die "unknown command '${1:-}'" "$0 dir|build" ;;
esac
