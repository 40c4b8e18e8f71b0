# SPDX-License-Identifier: MIT
# Tests of the channel: rings and hostile positions, set-up over the socket and
# its refusals, waiting and death, host memory.

$(foreach t,rings hostile hello setup waiting memory nodes,\
	$(eval $(call unit-test,channel,$(t),$(call objects,userspace/channel))))
