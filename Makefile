# Short names for what one does here most; CMake does the work. `make help` lists them.

BUILD ?= build
JOBS ?= 2
ARGS ?=

# Where a preset's binary is.
CORACLE = $(BUILD)/$(1)/coracle

.DEFAULT_GOAL := help
.PHONY: help setup demo build test asan bench-failover format clean

help:
	@echo 'make demo            a cluster of three on this machine, shown around; ARGS=--once ends after the tour'
	@echo 'make build           the release binary, $(call CORACLE,release)'
	@echo 'make test            all tests'
	@echo 'make asan            all tests with the address and undefined-behaviour sanitizers'
	@echo 'make bench-failover  how long writes fail when the leader is killed'
	@echo 'make format          clang-format on our C'
	@echo 'make clean           removes what was built'
	@echo
	@echo 'The first four install missing Debian packages first: they ask on a terminal (not with YES=1);'
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
	@$(call CORACLE,release) demo $(ARGS)

test: build
	ctest --test-dir $(BUILD)/release -j$(JOBS) --output-on-failure --no-tests=error

asan: $(BUILD)/asan/build.ninja
	cmake --build $(BUILD)/asan
	ctest --test-dir $(BUILD)/asan -j$(JOBS) --output-on-failure --no-tests=error

bench-failover: build
	python3 test/bench/failover.py $(call CORACLE,release) $(ARGS)

format:
	clang-format -i $$(find src include test -name '*.[ch]')

clean:
	rm -rf $(BUILD)/release $(BUILD)/debug $(BUILD)/asan
