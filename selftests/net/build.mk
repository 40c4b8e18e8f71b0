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

NET_BY_RDMA := vector_add mixed streams pinned_copies burst_copies large_copy threads
NET_AS_USER := vector_add mixed streams two_gpus pinned_copies fork_child
NET_PROGRAMS = --build $(B) --programs $(E2E_B)
net-run = "selftests/e2e/run.py --mode network $(1) --programs $(E2E_B)"
net-vm = "selftests/net/two_hosts $(2) $(B) $(1) --far 10.9.0.2 /run/vgpu-tls $(NET_PROGRAMS)"
roce-vm = $(call net-vm,$(1) --link verbs,--roce)

VM_CHECKS += $(call net-run,--build $(B)) $(call net-run,--build $(B) --link plain) \
	     $(call net-run,--build $(B) --jobs 6) \
	     "selftests/e2e/kill.py --mode network $(NET_PROGRAMS)" \
	     "selftests/net/gone.py $(NET_PROGRAMS)" "selftests/net/trust.py $(NET_PROGRAMS)" \
	     "selftests/net/cut.py $(NET_PROGRAMS)" \
	     "selftests/net/many.py --build $(B) --sessions 64" \
	     "selftests/net/two_hosts $(B) selftests/e2e/run.py --mode network --timeout 200 \
		--far 10.9.0.2 /run/vgpu-tls $(NET_PROGRAMS) --user 1000:4242 $(NET_AS_USER)" \
	     "selftests/net/two_hosts --roce $(B) selftests/e2e/run.py --mode network --link verbs \
		--timeout 200 --far 10.9.0.2 /run/vgpu-tls $(NET_PROGRAMS) $(NET_BY_RDMA)"

# What takes longer: sanitizers, all programs and their deaths in two machines.
NET_CHECKS = $(call net-run,--build $(B) --variant ptds) \
	     $(call net-run,--build $(B)-address --san address) \
	     $(call net-run,--build $(B)-thread --san thread --threaded) \
	     "selftests/net/cut.py --san address --build $(B)-address --programs $(E2E_B)" \
	     $(call net-vm,selftests/e2e/run.py --mode network --timeout 200) \
	     $(call net-vm,selftests/e2e/kill.py --mode network) \
	     $(call net-vm,selftests/net/wire.py) \
	     $(call roce-vm,selftests/e2e/run.py --mode network --timeout 200) \
	     $(call roce-vm,selftests/e2e/kill.py --mode network) \
	     $(call roce-vm,selftests/net/wire.py)

.PHONY: check-net
check-net: setup
	@$(MAKE) --no-print-directory $(JOBS) check-build
	@CUDA_HOME=$(CUDA_HOME) selftests/run --timeout 1800 $(NET_CHECKS)

# The same for longer: some 400 cuts, as many sessions as there may be.
.PHONY: check-cuts
check-cuts: setup
	@$(MAKE) --no-print-directory $(JOBS) all tests e2e-programs $(B)/linux-debian/kmod/vgpu.ko
	@CUDA_HOME=$(CUDA_HOME) selftests/run --timeout 1800 \
		"selftests/net/cut.py --cuts 80 $(NET_PROGRAMS)" \
		"selftests/net/many.py --build $(B) --sessions 256" \
		$(call net-vm,selftests/net/wire.py --times 20)
