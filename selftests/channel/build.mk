# SPDX-License-Identifier: MIT
# Tests of the channel: rings and hostile positions, the hello, set-up over the
# socket and its refusals, waiting and death, host memory, which nodes are used; the
# two ends of a channel whose sides are on two hosts.

$(foreach t,rings hostile hello setup bells memory nodes remote,\
	$(eval $(call unit-test,channel,$(t),$(call objects,userspace/channel))))
$(foreach t,waiting relay,\
	$(eval $(call unit-test,channel,$(t),$(call objects,userspace/channel) \
	$(call objects,selftests/channel,pair_socket.c))))

# The same over the module, and what only that has: run in a virtual machine, by
# root, with two devices or more.
CHANNEL_VM_TESTS := $(addprefix $(B)/tests/channel/,device device_waiting device_relay)

$(B)/tests/channel/device: $(call objects,selftests/channel,device.c)
$(B)/tests/channel/device_waiting: $(call objects,selftests/channel,waiting.c)
$(B)/tests/channel/device_relay: $(call objects,selftests/channel,relay.c)
$(CHANNEL_VM_TESTS): $(call objects,selftests/channel,pair_device.c) \
		$(call objects,userspace/channel)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

# The channel's own tests over the module.
VM_CHECKS += $(foreach t,$(CHANNEL_VM_TESTS),"tools/vm/vm run -- selftests/e2e/with_module \
	$(B)/linux-debian/kmod/vgpu.ko $(t)")
check-build: $(CHANNEL_VM_TESTS)
