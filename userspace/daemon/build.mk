# SPDX-License-Identifier: MIT
# What the two daemons have in common.

DAEMON_OBJS := $(call objects,userspace/daemon)
DAEMON_LIBS := -ljansson
