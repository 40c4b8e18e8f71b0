# SPDX-License-Identifier: MIT
# Tests of vgpu.ko, in the form of the kernel's own: they need a machine with the
# module loaded, so `run` boots one for all of them.

# In the order in which they run: programs made of NAME.c, testbed.c and what is
# added to their prerequisites, and scripts; arguments follow after commas.
KMOD_TESTS := open setup mapping hostmem bells copy life sharing death budget many \
	      netlink manage loading stress_bells fuzz_sequences,--steps,20000

# On the debug kernel, which is slower, and makes faults and knows what was reached.
KMOD_DEBUG_TESTS := $(filter-out stress_% fuzz_%,$(KMOD_TESTS)) \
	      stress_bells,--sleeps,50000 faults_injection faults_load \
	      fuzz_run.py,--least,75,--steps,60000

comma := ,
KMOD_HARNESS	:= $(LINUX_SOURCE)/tools/testing/selftests
KMOD_NAMES	:= $(foreach t,$(KMOD_TESTS) $(KMOD_DEBUG_TESTS),\
			$(firstword $(subst $(comma), ,$t)))
KMOD_PROGRAMS	:= $(patsubst %,$(B)/tests/kmod/%,$(sort $(filter-out %.sh %.py,$(KMOD_NAMES))))
KMOD_OBJS	:= $(KMOD_PROGRAMS:$(B)/tests/%=$(B)/obj/selftests/%.o)

$(KMOD_OBJS): $(LINUX_SOURCE)/.unpacked
$(KMOD_OBJS): CPPFLAGS += -isystem $(KMOD_HARNESS) $(NL_CPPFLAGS)
# its macros define functions that are not static
$(KMOD_OBJS): CFLAGS += -Wno-missing-prototypes

$(KMOD_PROGRAMS): $(B)/tests/kmod/%: $(B)/obj/selftests/kmod/%.o \
		$(B)/obj/selftests/kmod/testbed.o $(NL_OBJS)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(NL_LIBS)

kmod-objects = $(patsubst %,$(B)/obj/selftests/kmod/%.o,$(1))
$(B)/tests/kmod/stress_bells: $(CHANNEL_OBJS)
$(B)/tests/kmod/fuzz_sequences: $(call kmod-objects,fuzz_world fuzz_calls fuzz_memory \
	fuzz_processes fuzz_devices fuzz_cover fuzz_genl)
$(B)/tests/kmod/faults_injection: $(call kmod-objects,faults_nth fuzz_genl)
$(B)/tests/kmod/faults_load: $(call kmod-objects,faults_nth)

VM_CHECKS += "selftests/kmod/run --build $(B) $(KMOD_TESTS)"
check-build: $(KMOD_PROGRAMS) $(B)/linux-debian/kmod/vgpu.ko

DEBUG_TESTS += "selftests/kmod/run --build $(B) --kernel debug $(KMOD_DEBUG_TESTS)"
check-debug-build: $(KMOD_PROGRAMS) $(B)/linux-debug/kmod/vgpu.ko

# For people who look at some of them: make kmod-tests ONLY="open setup"
.PHONY: kmod-tests
kmod-tests: $(KMOD_PROGRAMS) $(B)/linux-debian/kmod/vgpu.ko
	selftests/kmod/run --build $(B) $(or $(ONLY),$(KMOD_TESTS))
