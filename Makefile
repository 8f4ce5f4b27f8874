# Short names for what one does here most; CMake does the work. `make help` lists them.

BUILD ?= build
JOBS ?= 2
ARGS ?=

CORACLE = $(BUILD)/release/coracle
CTEST = ctest -j$(JOBS) --output-on-failure --no-tests=error

.DEFAULT_GOAL := help
.PHONY: help setup demo build test asan coverage mutants torture bench-failover format clean

help:
	@echo 'make demo            a cluster of three on this machine, shown around; ARGS=--once ends after the tour'
	@echo 'make build           the release binary, $(CORACLE)'
	@echo 'make test            all tests, and the unit tests with sanitizers too'
	@echo 'make asan            all tests with the address and undefined-behaviour sanitizers'
	@echo 'make coverage        which lines of the consensus core and the joining the tests run'
	@echo 'make mutants         puts known bugs back in and shows that the tests find them'
	@echo 'make torture         new seeds of the simulator for MINUTES=40'
	@echo 'make bench-failover  how long writes fail when the leader is killed'
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

# Seeds of the simulator that nobody has tried yet.
MINUTES ?= 40
torture: build
	$(BUILD)/release/coracle-sim --minutes $(MINUTES) --jobs $(JOBS)

bench-failover: build
	python3 test/bench/failover.py $(CORACLE) $(ARGS)

format:
	clang-format -i $$(find src include test docs/examples -name '*.[ch]')

clean:
	rm -rf $(BUILD)/release $(BUILD)/debug $(BUILD)/asan $(BUILD)/coverage $(BUILD)/mutants
