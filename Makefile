# make run     build, start with demo users and rooms, print the page's address and a sign-in
# make test    all tests
# make dist    the binary to deploy: dist/aristay-chat, and its symbols in a file beside it
# make check   the quick part of the tests: format, lints, generated files, documents, licences; with
#              ADVISORIES=folder also known vulnerabilities, by cargo audit and that copy of the RustSec database
# make sim     the simulation with 20,000 seeds, or SEEDS=n
# make abuse   half an hour of clients that hold, drip, flood and never read; its short form is among all tests
# make bench   measure: a server on one core, thousands of sockets on another, a table; some 3 minutes

# `quick` builds soon, `dev` shares its build with the tests, `dist` is what is deployed.
PROFILE ?= quick
CARGO_TARGET_DIR ?= target
BINARY = $(CARGO_TARGET_DIR)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/aristay-chat

.PHONY: run test dist check build page sim abuse bench

run: build
	$(BINARY) serve --demo

# Without jemalloc in `quick`: it takes long to build and pays off with thousands of sockets.
build: page
	.ci/install build
	cargo build --locked --profile $(PROFILE) $(if $(filter quick,$(PROFILE)),--no-default-features)

# Before cargo, which embeds the page into the binary.
page:
	cd web && npm ci --no-audit --no-fund && npm run build

# Failpoints let a test stop the server at a named point; they do nothing unless one is named.
test: page
	.ci/install test
	cargo test --workspace --locked --no-fail-fast --features failpoints
	cd web && npm test
	cd web && CHAT_BIN=$(abspath $(CARGO_TARGET_DIR))/debug/aristay-chat npm run e2e

DIST_BYTES_MAX = 36000000
dist: PROFILE = dist
dist: build
	deploy/strip $(BINARY) dist
	@ls -l dist
	test $$(stat -c %s dist/aristay-chat) -lt $(DIST_BYTES_MAX)

# Runs SEEDS seeds, and checks that injected bugs are found.
SEEDS ?= 20000
sim:
	cargo test --locked --features injected-bugs --test sim -- --nocapture injected
	SIM_SEEDS=$(SEEDS) cargo test --locked --test sim -- --nocapture every_seed

# Requires that memory stays flat and that others wait at most a third longer at the 99th percentile. What the
# attackers compute themselves doesn't count: they run at the lowest priority.
abuse:
	cargo build --locked --profile dist
	CHAT_BIN=$(abspath $(CARGO_TARGET_DIR))/dist/aristay-chat ABUSE_SECONDS=1800 ABUSE_RATIO=1.33 \
		cargo test --workspace --locked --features failpoints --test abuse -- --nocapture

# One scenario alone, or with other values: $(LOAD) help.
LOAD = $(CARGO_TARGET_DIR)/dist/load
bench:
	.ci/install build
	cargo build --locked --profile dist --package aristay-chat --package aristay-chat-load
	$(LOAD) short

check: page
	.ci/install build
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cd web && npm run check
	python3 tests/docs/check_test.py
	python3 tests/docs/check.py
	python3 tests/architecture/check_test.py
	python3 tests/architecture/check.py
	if cargo deny --version > /dev/null 2>&1; then cargo deny --locked check licenses bans sources; fi
	if [ -n "$(ADVISORIES)" ]; then cargo audit --no-fetch --stale --db $(ADVISORIES); fi
