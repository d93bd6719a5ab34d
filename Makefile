# Millstream's front door for people who build it. Every target does its own set-up; `make` alone lists them.

# What set-up prepared (the prebuilt RocksDB, Python, the demo's data), as environment of every cargo call.
WITH_ENV = environment=$$(scripts/setup.sh env) && eval "$$environment" &&
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))

# The Rust functions of demo and tests: a crate of their own, as a user's would be. The other one is built beside it.
export MILLSTREAM_RUST_DELAYS := $(TARGET)/functions/release/rust-delays

.PHONY: help setup setup-build env build functions test sim soak bench demo fmt lint tidy clean

help:           ## show this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1#\2/p' $(MAKEFILE_LIST) | column -t -s '#'

setup:          ## install and build what everything else needs (RocksDB once: 10 to 30 minutes)
	@scripts/setup.sh

setup-build:
	@scripts/setup.sh build

env: setup-build ## print `export` lines for your own cargo calls:  eval "$(make -s env)"
	@scripts/setup.sh env

build: setup-build ## build the server and the CLI for real use (target/release/millstream)
	$(WITH_ENV) cargo build --release --locked -p millstream-server

functions:
	cargo build --release --locked --manifest-path examples/functions/rust-delays/Cargo.toml --target-dir $(TARGET)/functions

test: setup functions ## run every test, the black-box ones included
	$(WITH_ENV) cargo build --locked --workspace --bins --examples
	$(WITH_ENV) cargo test --locked --workspace
	$(WITH_ENV) cargo test --locked -p millstream-engine --features mutants --test sim every_known_bug

sim: ## the simulation of the engine over other seeds than `make test` runs: SEEDS=A..B, or one with SEED=N
	cargo run --quiet --locked -p xtask -- sim $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),500..1000))

soak: setup functions ## the crash tests again, longer: 50 kills instead of 20, and ten times the messages of SQS
	$(WITH_ENV) cargo build --locked --workspace --bins --examples
	$(WITH_ENV) MILLSTREAM_KILLS=50 MILLSTREAM_SQS_MESSAGES=20000 cargo test --locked -p millstream-tests

bench: setup-build ## how a queue a million messages deep is drained: the last tenth against the first
	$(WITH_ENV) cargo run --release --locked -p millstream-broker --example deep_queue

demo: setup functions ## a year of flights through streams and queues, with a crash in the middle (KEEP=1 leaves it up)
	$(WITH_ENV) cargo build --release --locked -p millstream-server -p millstream-demo
	@$(WITH_ENV) KEEP=$(KEEP) $(TARGET)/release/millstream-demo

fmt:            ## format the code
	cargo fmt --all

lint: setup-build ## clippy, warnings are errors
	$(WITH_ENV) cargo clippy --locked --workspace --all-targets -- -D warnings
	$(WITH_ENV) cargo clippy --locked -p millstream-core -p millstream-engine --features mutants --all-targets -- -D warnings

tidy:           ## the rules of the house that no lint can say
	cargo run --quiet --locked -p xtask -- tidy

clean:          ## remove what was built here (the cache outside the checkout stays)
	cargo clean
	rm -rf .demo
