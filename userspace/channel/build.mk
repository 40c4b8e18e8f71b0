# SPDX-License-Identifier: MIT
# What links a channel: libcuda, the server, benchmarks and tests.

CHANNEL_OBJS := $(call objects,userspace/channel)
