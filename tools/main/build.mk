# SPDX-License-Identifier: MIT
# What people type: demo, check, style, docs, install. Lists that other
# parts add to are used in recipes only: not all of them are known up here.

LIBRARIES := $(B)/lib/libcuda.so.1 $(B)/softgpu/libcuda.so.1 $(B)/vgpu-server
BA := $(B)-address
BT := $(B)-thread
RUN_E2E := selftests/e2e/run.py
JOBS := $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

.PHONY: setup
setup:
	@CUDA_HOME=$(CUDA_HOME) tools/setup

# ---- demo: the first thing to try; builds no more than it needs ----

DEMO  = $(addprefix $(E2E_B)/static/,vector_add matrix_product monte_carlo streams nvrtc) \
	$(E2E_B)/shared/nbody

# The module is for the virtual machine's kernel, if there is one.
DEMO_MODULE = $(shell tools/vm/vm kernel debian >/dev/null 2>&1 && \
	echo $(B)/linux-debian/kmod/vgpu.ko)

.PHONY: demo
demo: setup
	@$(MAKE) --no-print-directory $(JOBS) $(LIBRARIES) $(B)/vgpu $(B)/vgpud $(DEMO) \
		$(DEMO_MODULE)
	@CUDA_HOME=$(CUDA_HOME) $(PYTHON) tools/main/demo.py --build $(B) $(DEMO)

# ---- check: everything, as continuous integration runs it ----

.PHONY: check check-build check-run
check: setup
	@$(MAKE) --no-print-directory $(JOBS) check-build
	@$(MAKE) --no-print-directory check-run

# The sanitizer builds get folders of their own; the programs are not instrumented.
check-build: all tests e2e-programs $(LINUX_SOURCE)/.unpacked $(KMOD_CHECK)/.copied
	$(MAKE) --no-print-directory $(FUZZERS)
	$(MAKE) --no-print-directory SAN=address B=$(BA) E2E_B=$(E2E_B) all tests
	$(MAKE) --no-print-directory SAN=thread B=$(BT) E2E_B=$(E2E_B) all tests
	@if selftests/e2e/runtimes $(E2E_B)/runtimes; then \
		$(MAKE) --no-print-directory e2e-old-programs; \
	else \
		echo "tests of old runtimes will be skipped"; \
	fi

VM_CHECKS =	# commands, most of which boot virtual machines; what they need is check-build's
BUILT_TESTS = $(filter $(B)/%,$(TESTS))
# This one changes records under the library's hands: a race on purpose.
RACY_TESTS := $(B)/tests/libcuda/rewriter

STYLE  = $(PYTHON) tools/main/style.py --checkpatch $(LINUX_SOURCE)/scripts/checkpatch.pl
CHECKS = "$(STYLE)" "$(PYTHON) tools/main/docs.py" \
	 "kmod/check $(shell tools/vm/vm kernel debian build) $(KMOD_CHECK)" \
	 $(TESTS) \
	 $(VM_CHECKS) \
	 $(foreach m,direct remote,$(foreach v,static shared ptds rdc,$(call e2e-run,$m,$v,))) \
	 "$(RUN_E2E) --mode remote --jobs 6 --build $(B) --programs $(E2E_B)" \
	 $(foreach v,old-11.8 old-12.4,$(call e2e-run,remote,$v,)) \
	 "selftests/e2e/kill.py --build $(B)" \
	 $(BUILT_TESTS:$(B)/%="SAN=address $(BA)/%") \
	 $(call e2e-san,direct,address,) $(call e2e-san,remote,address,) \
	 $(patsubst $(B)/%,"SAN=thread $(BT)/%",$(filter-out $(RACY_TESTS),$(BUILT_TESTS))) \
	 $(call e2e-san,direct,thread,--threaded) $(call e2e-san,remote,thread,--threaded) \
	 $(if $(FUZZERS),"selftests/fuzzers.py --findings $(B)/fuzz/findings $(FUZZERS)")
e2e-run = "$(RUN_E2E) --mode $(1) --variant $(2) --build $(B) --programs $(E2E_B)"
e2e-san = "$(RUN_E2E) --mode $(1) --san $(2) --build $(B)-$(2) --programs $(E2E_B) $(3)"

# What continuous integration runs: both, summed up in one line.
.PHONY: check-all
check-all: setup debug-kernel
	@$(MAKE) --no-print-directory $(JOBS) check-build
	@$(MAKE) --no-print-directory $(JOBS) check-debug-build
	@CUDA_HOME=$(CUDA_HOME) selftests/run --timeout 1800 $(CHECKS) $(DEBUG_TESTS)

check-run:
	@CUDA_HOME=$(CUDA_HOME) selftests/run $(CHECKS)

# ---- style, docs ----

.PHONY: style docs
style: $(LINUX_SOURCE)/.unpacked
	@$(STYLE)

docs:
	@$(PYTHON) tools/main/docs.py

# ---- install ----

MAN := $(wildcard Documentation/man/*.[1-9])
UNITS := $(wildcard userspace/*/*.service.in)

.PHONY: install
install: $(LIBRARIES)
	install -D -m 755 $(B)/lib/libcuda.so.1 $(DESTDIR)$(PREFIX)/lib/vgpu/libcuda.so.1
	install -D -m 755 $(B)/softgpu/libcuda.so.1 \
		$(DESTDIR)$(PREFIX)/lib/vgpu/softgpu/libcuda.so.1
	install -D -m 755 $(B)/vgpu-server $(DESTDIR)$(PREFIX)/sbin/vgpu-server
	install -D -m 644 uapi/linux/vgpu.h $(DESTDIR)$(PREFIX)/include/vgpu/linux/vgpu.h
	@for page in $(MAN); do \
		install -D -m 644 $$page \
			$(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/}; \
	done
	@mkdir -p $(DESTDIR)$(PREFIX)/lib/systemd/system
	@for unit in $(basename $(UNITS)); do \
		sed 's|@sbin@|$(PREFIX)/sbin|' $$unit.in \
			>$(DESTDIR)$(PREFIX)/lib/systemd/system/$${unit##*/} || exit; \
	done
