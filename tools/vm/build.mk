# SPDX-License-Identifier: MIT
# The debug kernel, and the tests that run on it. DEBUG_TESTS: commands that
# print TAP, as in TESTS; folders of selftests add to it.

DEBUG_TESTS =

.PHONY: debug-kernel check-debug
debug-kernel:
	@tools/setup debug
	@tools/vm/debug-kernel

check-debug: setup debug-kernel
	@$(MAKE) --no-print-directory $(JOBS) check-debug-build
	@selftests/run --timeout 1800 $(DEBUG_TESTS)

# Others add what their tests need as prerequisites.
.PHONY: check-debug-build
check-debug-build:
