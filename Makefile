# Two commands for a bare Debian 12 with Rust, Node/npm, Python/pip and apt: `make demo` and `make test`.
# The work is in small scripts under tools/ and packaging/; each step is stamped, so a second run is quick.

SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help setup setup-test build demo test deb screenshots advisories miri torture

# Further arguments of the demo: make demo ARGS=--headless
ARGS ?=

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## bring what the product is made of (apt, npm, pip), model pack and page assets
	@tools/setup/setup.sh

setup-test: setup ## and what its tests need (browser, cargo-nextest, cargo-deny)
	@tools/setup/setup-test.sh

build: setup ## build the one binary (dev profile)
	@tools/setup/step.sh "build" cargo build --locked -p countersign

demo: build ## one real request through all seven rooms, on 127.0.0.1:8080 (ARGS=--headless: in the terminal)
	@exec "$$(tools/setup/binary.sh)" demo $(ARGS)

test: setup-test ## every check and test
	@tools/setup/test.sh

screenshots: setup-test build ## pictures of every page in build/screenshots, a few in docs/images, faces blurred
	@COUNTERSIGN_BIN="$$(tools/setup/binary.sh)" COUNTERSIGN_FRAME_BIN="$$(dirname "$$(tools/setup/binary.sh)")/examples/frame" \
		tools/setup/step.sh "browser tests, with pictures" node tools/browser/screenshots.mjs

torture: setup ## the crash and fault campaign (CYCLES=1000 SEED=1; docs/TORTURE.md)
	@cargo run --release --locked -p bureau --example torture -- --cycles $(or $(CYCLES),1000) --seed $(or $(SEED),1)

deb: setup ## a Debian package in build/deb (PROFILE=dev packs the dev build)
	@packaging/deb.sh

advisories: ## known vulnerabilities in the dependencies (needs the network)
	@tools/setup/cargo-tools.sh deny
	@cargo deny check advisories

miri: ## the gallery without its vector kernels under Miri (needs a nightly toolchain with miri; minutes)
	@MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test -p gallery --lib -- codes:: log:: rotation:: zone::
	@MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test -p gallery --test exact the_edges_of_k_and_threshold
