# SPDX-License-Identifier: MIT
# What links a channel: libcuda, the daemons, benchmarks and tests. Only daemons
# have to do with channels between hosts.

RELAY_OBJS   := $(patsubst %.c,$(B)/obj/%.o,$(wildcard userspace/channel/re[lm]*.c))
CHANNEL_OBJS := $(filter-out $(RELAY_OBJS),$(call objects,userspace/channel))
