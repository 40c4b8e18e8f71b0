# SPDX-License-Identifier: MIT
# What travels between hosts: for the two daemons, tests and benchmarks.

LINK_OBJS := $(call objects,userspace/link)
LINK_LIBS := -l:libssl.a -l:libcrypto.a -ljansson -ldl -libverbs
