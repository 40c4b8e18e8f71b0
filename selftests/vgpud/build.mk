# SPDX-License-Identifier: MIT
# Tests of vgpud's parts. The whole of it is tested by selftests/net.

$(foreach t,config parts sessions,\
	$(eval $(call unit-test,vgpud,$(t),$(VGPUD_PART_OBJS),$(VGPUD_LIBS))))
