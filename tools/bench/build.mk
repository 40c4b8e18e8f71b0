# SPDX-License-Identifier: MIT
# Benchmarks: programs that print figures, and the table made of them.

BENCH_PROGRAMS := $(addprefix $(B)/bench/,bare net far probe first_kernel)

$(B)/bench/bare: $(call objects,tools/bench,bare.c)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

$(B)/bench/net: $(call objects,tools/bench,net.c tls.c)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -l:libssl.a -l:libcrypto.a -ldl

$(B)/bench/far: $(call objects,tools/bench,far.c)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

# libcuda.so.1 as it is, which counts the answers that it waits for. Its objects are
# not known up here, but they are when it is linked.
$(B)/bench/counting/libcuda.so.1: $(call objects,tools/bench,waits.c) $(B)/lib/libcuda.so.1
	@mkdir -p $(@D)
	$(CC) -shared $(CFLAGS) $(LDFLAGS) -Wl,-soname,libcuda.so.1 -Wl,-z,nodelete -Wl,-Bsymbolic \
		-Wl,--version-script,$(B)/gen/exports.map -Wl,--wrap=vgpu_submit_wait -o $@ \
		$< $(LIBCUDA_OBJS) -Wl,--exclude-libs,ALL $(LIBCUDA_LIBS)

# Linked against the toolkit's stub: the loader finds the real one at run time.
$(B)/bench/probe: $(call objects,tools/bench,probe.c)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -L$(CUDA_HOME)/lib64/stubs -lcuda

$(B)/bench/first_kernel: tools/bench/first_kernel.cu
	@mkdir -p $(@D)
	@echo "  NVCC    $@"
	$(NVCC) -o $@ $<

.PHONY: bench bench-module
bench: all $(BENCH_PROGRAMS)
	$(PYTHON) -B tools/bench/bench.py $(B) --json $(B)/bench.json
	@$(MAKE) --no-print-directory bench-module

# In a virtual machine, where only ratios mean anything: the module's channels
# beside the socket's.
bench-module: all $(BENCH_PROGRAMS) $(B)/linux-debian/kmod/vgpu.ko
	@mkdir -p $(B)/bench
	tools/vm/vm run --memory 3072 --timeout 1800 --share $(B)/bench -- sh -c \
		'insmod $(abspath $(B))/linux-debian/kmod/vgpu.ko && \
		$(PYTHON) -B tools/bench/bench.py $(B) --rounds 3 --largest 1048576 \
			--only socket,module --json /share/module.json'

# What the distance between two hosts costs: programs whose GPU is ever further away.
BENCH_DELAY = tools/bench/roundtrips.py $(B) --programs $(E2E_B)/static

.PHONY: bench-delay bench-netem
bench-delay: all $(BENCH_PROGRAMS) $(B)/bench/counting/libcuda.so.1 $(E2E_STATIC)
	$(BENCH_DELAY) --json $(B)/delay.json

# The same with a delay by the kernel, in a virtual machine whose kernel can.
bench-netem: all $(BENCH_PROGRAMS) $(B)/bench/counting/libcuda.so.1 $(E2E_STATIC)
	@mkdir -p $(B)/bench
	tools/vm/vm run --memory 3072 --timeout 3600 --share $(B)/bench -- \
		$(BENCH_DELAY) --netem --json /share/netem.json
