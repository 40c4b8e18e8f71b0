# SPDX-License-Identifier: MIT
# Benchmarks: programs that print figures, and the table made of them.

BENCH_PROGRAMS := $(addprefix $(B)/bench/,bare probe first_kernel)

$(B)/bench/bare: $(call objects,tools/bench,bare.c)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

# Linked against the toolkit's stub: the loader finds the real one at run time.
$(B)/bench/probe: $(call objects,tools/bench,probe.c)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -L$(CUDA_HOME)/lib64/stubs -lcuda

$(B)/bench/first_kernel: tools/bench/first_kernel.cu
	@mkdir -p $(@D)
	@echo "  NVCC    $@"
	$(NVCC) -o $@ $<

.PHONY: bench
bench: all $(BENCH_PROGRAMS)
	$(PYTHON) -B tools/bench/bench.py $(B) --json $(B)/bench.json
