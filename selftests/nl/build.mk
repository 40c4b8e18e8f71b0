# SPDX-License-Identifier: MIT
# Tests of the netlink library that need no module: what messages hold.

$(eval $(call unit-test,nl,messages,$(NL_OBJS),$(NL_LIBS)))
