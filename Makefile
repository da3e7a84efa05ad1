# What is done often. `make test` is the test command; `make check` runs the same steps as CI (.ci/run).

CARGO ?= cargo
IMAGE ?= towpath:dev
# Of the image: `otel`.
FEATURES ?=

.PHONY: help test e2e story traces check fmt clippy doc deny fuzz chart servers builds descriptions bench demo schema image

help:
	@echo 'make test     all tests, with real servers on loopback (installs what is missing)'
	@echo 'make e2e      the whole story, from the registry to production, on real servers: kube-apiserver, Argo CD, Gitea'
	@echo '              (builds what is missing once, half an hour on two cores)'
	@echo 'make check    what CI runs: format, lints, documentation, dependencies, chart, tests'
	@echo 'make traces   the tests of the feature `otel`'
	@echo 'make descriptions'
	@echo '              the fakes of forges against what the products publish of their APIs (wants node and npm)'
	@echo 'make demo     the demonstration, until Ctrl-C'
	@echo 'make bench    the benchmarks'
	@echo 'make schema   writes the JSON Schema of settings and policies'
	@echo 'make image    the container image, as $$IMAGE ($(IMAGE))'

# What could not be installed is left out by its name, so that no test is skipped without a word.
test: servers builds
	TOWPATH_WITHOUT="$$(scripts/test-builds --missing)" $(CARGO) test --workspace --locked

# Whatever cannot be built fails it by name.
e2e: servers
	TOWPATH_SLOW_BUILDS=1 scripts/test-builds
	$(TELL)

# The same where its programs are there; elsewhere it says what is not.
story: servers builds
	TOWPATH_WITHOUT="$$(scripts/test-builds --missing)" $(TELL)

TELL = $(CARGO) test --locked --test e2e whole_story -- --ignored --nocapture

check: fmt clippy doc deny fuzz chart descriptions story test traces

servers:
	scripts/test-servers

builds:
	scripts/test-builds

fmt:
	$(CARGO) fmt --all --check

# What only the feature `otel` has.
traces:
	$(CARGO) test --locked --features otel --test e2e -- traces::

clippy:
	$(CARGO) clippy --workspace --all-targets --features figures,otel --locked -- -D warnings

doc:
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --document-private-items --locked

# That the fuzz targets build; their corpus is replayed by the tests.
fuzz:
	RUSTFLAGS='--cfg fuzzing' $(CARGO) check --locked --manifest-path fuzz/Cargo.toml --target-dir target/fuzz

# The advisory database lives on the network: CI asks it in a job of its own.
deny:
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		$(CARGO) deny --locked check --hide-inclusion-graph bans licenses sources; \
	else \
		echo 'SKIPPED: dependencies were not checked, since `cargo deny` is not installed' >&2; \
		echo 'hint: cargo install cargo-deny --locked' >&2; \
	fi

chart: builds
	scripts/check-chart
	scripts/check-install

# What is missing for it is left out, loudly; `scripts/forge-descriptions --fetch` brings what no registry has.
descriptions: builds
	scripts/forge-descriptions

bench: servers
	$(CARGO) bench --locked --features figures --bench figures

demo:
	$(CARGO) run --release --locked -- demo

schema:
	$(CARGO) run --quiet --locked -- schema >config/schema.json

image:
	@engine=$$(command -v docker || command -v podman || true); \
	if [ -n "$$engine" ]; then \
		"$$engine" build --tag $(IMAGE) --build-arg FEATURES=$(FEATURES) --build-arg REVISION=$$(git rev-parse HEAD) .; \
	else \
		echo 'error: no container engine is installed (docker or podman)' >&2; \
		echo 'hint: scripts/check-image checks the static binary without one' >&2; \
		exit 1; \
	fi
