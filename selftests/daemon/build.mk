# SPDX-License-Identifier: MIT
# Tests of what the two daemons have in common.

$(eval $(call unit-test,daemon,status,$(DAEMON_OBJS),$(DAEMON_LIBS)))
$(eval $(call unit-test,daemon,notify,$(DAEMON_OBJS),$(DAEMON_LIBS)))
