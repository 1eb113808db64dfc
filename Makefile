# Weir on a Debian 12 machine that has Rust, git and make. Every target installs by name what it misses, and only that.
#
#   make run      build Weir and start it with a demo stream and a simulated camera (DEMO=0: without); Ctrl-C ends all
#   make build    the release binary, target/release/weir
#   make test     everything below: check, unit, integration and law tests, real clients
#   make check    format, lints, layers, documentation
#   make e2e      real clients play real streams (ffmpeg, GStreamer, VLC, Chromium; ONLY=name for some of them)
#   make bench    load figures beside the floor program and nginx-rtmp (QUICK=1: a few minutes)
#   make fuzz     fuzz every target for SECONDS_EACH seconds

CARGO ?= cargo
CACHE := .cache
VENV  := $(CACHE)/venv
DEMO  ?= 1

# `weir-av`, the helper that alone links FFmpeg, is built as well.
FEATURES ?= --features av

# What the C and assembly parts of the dependencies are built with, and FFmpeg for the helper.
BUILD_PACKAGES := gcc libc6-dev ca-certificates pkg-config libclang-dev \
	libavcodec-dev libavformat-dev libavutil-dev libswscale-dev libswresample-dev
TEST_PACKAGES  := $(BUILD_PACKAGES) python3 postgresql
E2E_PACKAGES   := $(TEST_PACKAGES) openssl python3-venv zsh fish ffmpeg sip-tester vlc-bin vlc-plugin-base chromium nodejs npm \
	gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-libav
FUZZ_PACKAGES  := $(BUILD_PACKAGES) g++
BENCH_PACKAGES := $(BUILD_PACKAGES) python3 postgresql ffmpeg liburing-dev nginx-light libnginx-mod-rtmp iproute2 util-linux procps

.DEFAULT_GOAL := help
.PHONY: help run build test check unit e2e bench fuzz packages-build packages-test packages-e2e packages-fuzz packages-bench clean-cache

help:
	@sed -n '/^#   make/s/^#   //p' Makefile

run: packages-build
	$(CARGO) build --locked --release $(FEATURES)
	@DEMO=$(DEMO) WEIR=target/release/weir tests/demo.sh

build: packages-build
	$(CARGO) build --locked --release $(FEATURES)

test: check unit e2e

# The law test enforces the layers and the state of generated files.
check: packages-build
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets $(FEATURES) -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items $(FEATURES)
	$(CARGO) test --locked $(FEATURES) --test law

unit: packages-test
	tests/postgres.sh $(CARGO) test --locked $(FEATURES)

# The programs as the tests are built with them: a plain build would compile the dependencies once more, with other features.
e2e: packages-e2e $(VENV)/.made $(CACHE)/node/.made $(CACHE)/s3s/bin/s3s-fs
	$(CARGO) test --locked $(FEATURES) --test server --no-run
	$(VENV)/bin/python tests/e2e/run.py --weir target/debug/weir --node $(CACHE)/node $(if $(ONLY),--only $(ONLY))

bench: packages-bench
	$(CARGO) build --locked --release $(FEATURES)
	benches/load/run.py --weir target/release/weir $(if $(QUICK),--quick)
	$(CARGO) bench --locked $(FEATURES) --bench calls
	$(if $(QUICK),RECORDS=1000000) tests/postgres.sh $(CARGO) bench --locked $(FEATURES) --bench store
	$(CARGO) bench --locked $(FEATURES) --bench usage
	$(CARGO) bench --locked $(FEATURES) --bench webrtc
	$(CARGO) bench --locked $(FEATURES) --bench demux --bench mux --bench parse --bench stream -- $(if $(QUICK),--quick)

SECONDS_EACH ?= 60
fuzz: packages-fuzz
	tests/fuzz/run.sh $(SECONDS_EACH)

# Python and JavaScript clients, at the versions that are written down, into a folder that git ignores.
$(VENV)/.made: tests/e2e/requirements.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(CACHE)/node/.made: tests/e2e/browser/package.json tests/e2e/browser/package-lock.json
	mkdir -p $(CACHE)/node
	cp $^ $(CACHE)/node/
	cd $(CACHE)/node && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

# An S3 server of somebody else, at a version that this Rust builds; some minutes, once.
$(CACHE)/s3s/bin/s3s-fs:
	$(CARGO) install s3s-fs --version 0.14.1 --features binary --debug --root $(CACHE)/s3s --locked

packages-build packages-test packages-e2e packages-fuzz packages-bench:
	@tests/packages.sh $($(shell echo $(patsubst packages-%,%,$@) | tr a-z A-Z)_PACKAGES)

clean-cache:
	rm -rf $(CACHE)
