# SPDX-License-Identifier: MIT
# Tests of two hosts: programs over TCP and TLS, cut connections, daemons that die,
# certificates, many sessions; natively over loopback, and in two virtual machines.

TESTS += selftests/net/proxy_itself.py

MANY := $(B)/tests/net/many
tests: $(MANY)
$(MANY): $(B)/obj/selftests/net/many.o
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^
