# make run     build, start with demo people and rooms, print the page's address and a sign-in
# make test    all tests
# make sim     the simulation with 20,000 seeds, or SEEDS=n
# make abuse   half an hour of clients that hold, drip, flood and never read; its short form is among all tests
# make check   the quick part: format, lints, generated files, documents, licences; with ADVISORIES=folder also
#              known holes, by cargo audit and that copy of the RustSec database
# make bench   measure: a server on one core, thousands of sockets on another, a table; some 3 minutes

# Release, though it builds longer: what is tried out by hand is then as fast as what is deployed.
# `make run PROFILE=dev` shares its build with the tests and is there sooner.
PROFILE ?= release
CARGO_TARGET_DIR ?= target
BINARY = $(CARGO_TARGET_DIR)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/aristay-chat

.PHONY: run test check build page sim abuse bench

run: build
	$(BINARY) serve --demo

build: page
	.ci/install build
	cargo build --locked --profile $(PROFILE)

# Before cargo, which embeds the page into the binary.
page:
	cd web && npm ci --no-audit --no-fund && npm run build

# With points at which a test may stop the server; they do nothing where none is named.
test: page
	.ci/install test
	cargo test --workspace --locked --no-fail-fast --features failpoints
	cd web && npm test
	cd web && CHAT_BIN=$(abspath $(CARGO_TARGET_DIR))/debug/aristay-chat npm run e2e

# As many seeds as SEEDS says, and whether planted bugs are found.
SEEDS ?= 20000
sim:
	cargo test --locked --features planted-bugs --test sim -- --nocapture planted
	SIM_SEEDS=$(SEEDS) cargo test --locked --test sim -- --nocapture every_seed

# Asks that memory stays flat and that everyone else waits at most a third longer at the 99th percentile.
# Where attackers, server and the others share two cores that last is not met: they waited twice as long.
abuse:
	ABUSE_SECONDS=1800 ABUSE_RATIO=1.33 cargo test --locked --release --test abuse -- --nocapture

# One scenario alone, or with other values: $(LOAD) help.
LOAD = $(CARGO_TARGET_DIR)/release/load
bench:
	.ci/install build
	cargo build --locked --release --package aristay-chat --package aristay-chat-load
	$(LOAD) short

check: page
	.ci/install build
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cd web && npm run check
	python3 tests/docs/check_test.py
	python3 tests/docs/check.py
	if cargo deny --version > /dev/null 2>&1; then cargo deny --locked check licenses bans sources; fi
	if [ -n "$(ADVISORIES)" ]; then cargo audit --no-fetch --stale --db $(ADVISORIES); fi
