# SPDX-License-Identifier: Apache-2.0
# A thin list of verbs over CMake. `make help` prints them.

BUILD ?= build
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
PYTHON ?= python3
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

BUILD_PACKAGES := build-essential cmake ninja-build pkg-config libdnnl-dev libnanopb-dev \
                  libzip-dev libjansson-dev libspng-dev libturbojpeg0-dev
TEST_PACKAGES := libcmocka-dev clang clang-format libomp-dev libclang-rt-dev python3 python3-venv
# Without cmocka there is a command and a library, and no tests.
TESTS = $(shell pkg-config --exists cmocka 2>/dev/null && echo ON || echo OFF)
VENV := $(BUILD)/venv

.PHONY: all deps configure build venv demo test test-quick docs asan clang reference bench bench-bits counts \
        zoo fuzz format \
        install clean help

all: build

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

deps: ## install the Debian packages that are missing (with sudo where not root)
	@scripts/deps.sh "$(SUDO)" $(BUILD_PACKAGES) $(TEST_PACKAGES)

configure:
	@cmake -S . -B $(BUILD) -G Ninja -DCMAKE_BUILD_TYPE=Release \
	    -DUNBATCH_TESTS=$(TESTS) -DUB_PYTHON=$(abspath $(VENV))/bin/python >$(BUILD).configure.log 2>&1 || \
	    { cat $(BUILD).configure.log; rm -f $(BUILD).configure.log; exit 1; }
	@rm -f $(BUILD).configure.log

build: configure ## Release build in build/
	@cmake --build $(BUILD) -j $(JOBS)

venv: ## the Python packages the tests compare with, in build/venv
	@scripts/venv.sh $(VENV) tests/requirements.txt tests/flow/networks.txt

demo: ## install what building needs, build, run the main job on a trained model and real pictures
	@scripts/deps.sh "$(SUDO)" $(BUILD_PACKAGES)
	@$(MAKE) --no-print-directory configure
	@cmake --build $(BUILD) -j $(JOBS) --target unbatch_cli
	@examples/demo.sh $(BUILD)/bin/unbatch

test: deps ## everything: Release, without oneDNN, sanitizers, clang
	@$(MAKE) --no-print-directory venv
	@scripts/test.sh "$(BUILD)" "$(JOBS)"

test-quick: build venv ## the Release tests only
	@cd $(BUILD) && ctest --output-on-failure -j $(JOBS)

docs: build venv ## docs/ops.md and docs/conformance.md, from the tests
	@cd $(BUILD) && ctest -R '^(onnx_suite|runtime_cases|batch_law)$$' -j $(JOBS) >/dev/null || true
	@$(VENV)/bin/python tests/tools/op_docs.py $(BUILD) .

asan: ## a build with AddressSanitizer and UndefinedBehaviorSanitizer in build-asan/
	@cmake -S . -B $(BUILD)-asan -G Ninja -DCMAKE_BUILD_TYPE=Debug -DUNBATCH_SANITIZE=ON \
	    -DUB_PYTHON=$(abspath $(VENV))/bin/python
	@cmake --build $(BUILD)-asan -j $(JOBS)

bench: build ## compare with onnxruntime, openvino and PyTorch, in a venv of its own
	@scripts/venv.sh $(BUILD)/bench-venv bench/requirements.txt
	@$(BUILD)/bench-venv/bin/python bench/compare.py --build $(BUILD)

counts: build ## instructions of the library's own code for fixed work (valgrind), against bench/counts.json
	@$(PYTHON) bench/counts.py --build $(BUILD) $(if $(SET),--set)

bench-bits: build ## whose samples keep their bits: peers and unbatch; writes docs/bitwise.md
	@scripts/venv.sh $(BUILD)/bench-venv bench/requirements.txt
	@$(BUILD)/bench-venv/bin/python bench/bits.py --build $(BUILD)

zoo: build ## timm, torchvision and keras.applications against PyTorch and Keras, in a venv of its own
	@scripts/venv.sh $(BUILD)/zoo-venv tests/zoo/requirements.txt tests/zoo/pinned.txt
	@$(BUILD)/zoo-venv/bin/python tests/zoo/zoo.py $(BUILD) docs/zoo.md $(NAMES)

fuzz: ## libFuzzer programs in build-fuzz/, run each for a minute
	@cmake -S . -B $(BUILD)-fuzz -G Ninja -DCMAKE_C_COMPILER=clang -DUNBATCH_FUZZ=ON \
	    -DUNBATCH_TESTS=OFF -DUNBATCH_OPENMP=OFF -DUNBATCH_ONEDNN=OFF
	@cmake --build $(BUILD)-fuzz -j $(JOBS)
	@for f in $(BUILD)-fuzz/bin/fuzz_*; do name=$${f##*/fuzz_}; \
	    mkdir -p $(BUILD)-fuzz/corpus/$$name; \
	    $$f -max_total_time=60 -close_fd_mask=1 $(BUILD)-fuzz/corpus/$$name fuzz/corpus/$$name \
	        || exit 1; done

format: ## lay out all C files as .clang-format says
	@git ls-files '*.c' '*.h' | xargs clang-format -i

install: build ## into PREFIX (default /usr/local); DESTDIR is honoured
	@cmake --install $(BUILD) --prefix $(PREFIX)

clean: ## remove the build folders
	@rm -rf $(BUILD) $(BUILD)-*
