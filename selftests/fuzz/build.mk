# SPDX-License-Identifier: MIT
# Each part brings its fuzz targets in a file of its own and adds them to FUZZERS.

include $(sort $(wildcard selftests/fuzz/*.mk.inc))
