# Short names for what one does here most; CMake does the work. `make help` lists them.

BUILD ?= build
JOBS ?= 2
ARGS ?=

CORACLE = $(BUILD)/release/coracle
CTEST = ctest -j$(JOBS) --output-on-failure --no-tests=error

.DEFAULT_GOAL := help
.PHONY: help setup demo build test test-clients asan coverage mutants model fuzz torture torture-processes \
  torture-once torture-power torture-sim bench-failover bench-export bench-restart bench-snapshot bench-turns format clean

help:
	@echo 'make demo            a cluster of three on this machine, shown around; ARGS=--once ends after the tour'
	@echo 'make build           the release binary, $(CORACLE)'
	@echo 'make test            all tests, and the unit tests with sanitizers too'
	@echo "make test-clients    other people's clients, test suites and oracles; needs Node.js and npm"
	@echo 'make asan            all tests with the address and undefined-behaviour sanitizers'
	@echo 'make coverage        which lines of the consensus core and the joining the tests run'
	@echo 'make mutants         puts known bugs back in and shows that the tests find them'
	@echo 'make model           the models of founding, joining and membership, searched to the end with Spin'
	@echo 'make fuzz            the fuzz targets, MINUTES=10 each; needs clang'
	@echo 'make torture         the four that follow, one after the other'
	@echo 'make torture-processes  nodes killed under load in ROUNDS=300 rounds, and at each call to the disk'
	@echo 'make torture-once    leaders killed in mid-request KILLS=200 times, under writes with idempotency keys'
	@echo 'make torture-power   CUTS=50 power cuts on a mounted ext4; as root'
	@echo 'make torture-sim     new seeds of the simulator for MINUTES=40'
	@echo 'make bench-failover  how long writes fail when the leader is killed'
	@echo 'make bench-export    how fast a million documents go in and come out as NDJSON, and what notices it'
	@echo 'make bench-restart   how long a node with a million documents takes to start, and its disk use'
	@echo 'make bench-snapshot  what a snapshot of a million documents costs the loop'
	@echo 'make bench-turns     what exports, imports, patches and drops cost the loop, with a million documents'
	@echo 'make format          clang-format on our C'
	@echo 'make clean           removes what was built'
	@echo
	@echo 'Whatever builds installs missing Debian packages first: it asks on a terminal (not with YES=1);'
	@echo 'SETUP=no leaves that out. BUILD=FOLDER builds elsewhere than in build/.'

setup:
	@sh cmake/setup.sh

# One folder per preset; a change of the presets configures it again, and CMake sees to the rest by itself.
$(BUILD)/%/build.ninja: CMakePresets.json | setup
	cmake --preset $* -S . -B $(BUILD)/$*

.PRECIOUS: $(BUILD)/%/build.ninja

build: $(BUILD)/release/build.ninja
	cmake --build $(BUILD)/release

demo: build
	@$(CORACLE) demo $(ARGS)

# The unit tests under the sanitizers come first: they take little time, and find what a release build hides.
test: build $(BUILD)/asan/build.ninja
	cmake --build $(BUILD)/asan --target unit_tests
	$(CTEST) --test-dir $(BUILD)/asan -L unit
	$(CTEST) --test-dir $(BUILD)/release

# Packages come with npm the first time, and when their list has changed. Nothing of them is run in installing.
NODE_MODULES = test/clients/node_modules/.package-lock.json
$(NODE_MODULES): test/clients/package.json test/clients/package-lock.json
	@sh cmake/setup.sh clients
	cd test/clients && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

test-clients: build $(NODE_MODULES)
	test/clients/run.sh $(BUILD)/release

asan: $(BUILD)/asan/build.ninja
	cmake --build $(BUILD)/asan
	$(CTEST) --test-dir $(BUILD)/asan

# What the tests without processes leave untried of the rooms that decide what is lost.
COVERED = --filter src/raft/ --filter src/join/
coverage: $(BUILD)/coverage/build.ninja
	cmake --build $(BUILD)/coverage --target unit_tests coracle-scenario coracle-sim
	find $(BUILD)/coverage -name '*.gcda' -delete
	$(CTEST) --test-dir $(BUILD)/coverage -L 'unit|scenario|sim'
	gcovr --root . $(COVERED) --exclude-throw-branches --fail-under-line 95 $(BUILD)/coverage

# Known bugs put back in, each of which some test must find.
mutants: setup
	python3 -B test/mutants/run.py $(BUILD)/mutants $(ARGS)

# What is ours and not Raft's, as models: every state of them.
model: setup
	@sh test/model/run.sh

# What is found stays in $(BUILD)/fuzz/found; the corpus, in $(BUILD)/fuzz/corpus, is gone on with the next time.
fuzz: MINUTES := 10
fuzz: $(BUILD)/fuzz/build.ninja
	cmake --build $(BUILD)/fuzz --target fuzz_targets
	@for target in $(BUILD)/fuzz/test/fuzz/fuzz_*; do \
	  test -f $$target -a -x $$target || continue; name=$$(basename $$target); \
	  mkdir -p $(BUILD)/fuzz/corpus/$$name $(BUILD)/fuzz/found; echo "$$name, $(MINUTES) minutes"; \
	  $$target -max_total_time=$$(($(MINUTES) * 60)) -timeout=10 -max_len=4096 -print_final_stats=1 -verbosity=0 \
	    -artifact_prefix=$(BUILD)/fuzz/found/$$name- $(BUILD)/fuzz/corpus/$$name || exit 1; \
	done

# The long ones, with what nobody has tried yet. SEED is told when something is wrong.
MINUTES ?= 40
ROUNDS ?= 300
KILLS ?= 200
CUTS ?= 50
SEED ?= $(shell date +%s)
CLUSTER_TEST = CORACLE_BIN=$(abspath $(CORACLE)) CORACLE_TORTURE_SEED=$(SEED) \
  $$(sed -n 's/^CORACLE_PYTHON:.*=//p' $(BUILD)/release/CMakeCache.txt) -B -m pytest -x -q -rs -p no:cacheprovider
torture:
	$(MAKE) torture-processes
	$(MAKE) torture-once
	$(MAKE) torture-power
	$(MAKE) torture-sim

torture-processes: build
	CORACLE_TORTURE_ROUNDS=$(ROUNDS) $(CLUSTER_TEST) test/cluster/test_torture.py
	CORACLE_CALLS=all $(CLUSTER_TEST) test/cluster/test_disk_calls.py

torture-once: build
	CORACLE_TORTURE_ROUNDS=$(KILLS) $(CLUSTER_TEST) test/cluster/test_once.py

torture-power: build
	CORACLE_POWER_CUTS=$(CUTS) $(CLUSTER_TEST) test/cluster/test_power.py

torture-sim: build
	$(BUILD)/release/coracle-sim --minutes $(MINUTES) --jobs $(JOBS)

bench-failover: build
	python3 test/bench/failover.py $(CORACLE) $(ARGS)

bench-export: build
	python3 -B test/bench/export.py $(CORACLE) $(ARGS)

bench-restart: build
	python3 -B test/bench/restart.py $(CORACLE) $(ARGS)

bench-snapshot: $(BUILD)/release/build.ninja
	cmake --build $(BUILD)/release --target coracle-bench-snapshot
	$(BUILD)/release/coracle-bench-snapshot $(ARGS)

bench-turns: $(BUILD)/release/build.ninja
	cmake --build $(BUILD)/release --target coracle-bench-turns
	$(BUILD)/release/coracle-bench-turns $(ARGS)

format:
	clang-format -i $$(find src include test docs/examples -name '*.[ch]')

clean:
	rm -rf $(BUILD)/release $(BUILD)/debug $(BUILD)/asan $(BUILD)/fuzz $(BUILD)/coverage $(BUILD)/mutants
