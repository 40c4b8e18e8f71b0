# SPDX-License-Identifier: MIT
# Tests of the command vgpu that need no module: what it reads and what it
# prints. With the module: selftests/kmod/vgpu_tool.sh.

$(foreach t,words request output,\
	$(eval $(call unit-test,vgpu,$(t),$(VGPU_TOOL_PARTS),$(VGPU_TOOL_LIBS))))
