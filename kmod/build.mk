# SPDX-License-Identifier: MIT
# vgpu.ko: kbuild writes beside its sources, so it gets a copy of them in the
# build folder, one for each kernel.

KMOD_SOURCES := Kbuild kmod/Kbuild $(wildcard kmod/*.[ch]) uapi/linux/vgpu.h
KDIR ?= /lib/modules/$(shell uname -r)/build

# $(call kmod-build,kernel's build folder): with warnings that a release build
# of the kernel does not ask for
kmod-build = mkdir -p $(@D) && cp -p --parents $(KMOD_SOURCES) $(abspath $(@D)/..) && \
	$(MAKE) --no-print-directory -s -C $(1) M=$(abspath $(@D)/..) W=1 modules && touch $@

# For a kernel of the test machines: debian, debug. Which one that is, and so
# where it was built, may have changed since.
$(B)/linux-%/kmod/vgpu.ko: $(KMOD_SOURCES) $(B)/linux-%/.kernel
	@echo "  KBUILD  $@"
	+$(call kmod-build,$$(cat $(B)/linux-$*/.kernel))

.PRECIOUS: $(B)/linux-%/.kernel
$(B)/linux-%/.kernel: FORCE
	@mkdir -p $(@D)
	@build=$$(tools/vm/vm kernel $* build) && \
		{ echo "$$build" | cmp -s - $@ || { rm -rf $(@D)/kmod; echo "$$build" >$@; }; }

.PHONY: FORCE
FORCE:

.PHONY: module
module: $(B)/linux/kmod/vgpu.ko
$(B)/linux/kmod/vgpu.ko: $(KMOD_SOURCES)
	@test -d $(KDIR) || { echo "vgpu: no $(KDIR): install the headers of your kernel" \
		"(linux-headers-$$(uname -r)) or set KDIR" >&2; exit 1; }
	@echo "  KBUILD  $@"
	+$(call kmod-build,$(KDIR))

# What checks and tests take from the kernel's own source.
LINUX_SOURCE := $(B)/linux-source
$(LINUX_SOURCE)/.unpacked:
	@tools/vm/linux-source $(@D) scripts/checkpatch.pl scripts/spelling.txt \
		scripts/const_structs.checkpatch tools/testing/selftests/lib.mk \
		tools/testing/selftests/kselftest.h tools/testing/selftests/kselftest_harness.h \
		tools/testing/selftests/kselftest scripts/subarch.include
	@touch $@

# Its own copy: it builds anew, several times.
KMOD_CHECK := $(B)/linux-check
$(KMOD_CHECK)/.copied: $(KMOD_SOURCES)
	@mkdir -p $(@D) && cp -p --parents $^ $(@D) && touch $@
