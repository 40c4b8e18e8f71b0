# SPDX-License-Identifier: MIT
# Tests of the command vgpu that need no module: what it reads and what it
# prints. With the module it is selftests/kmod/vgpu_tool.py, in a VM.

$(foreach t,words request output status,\
	$(eval $(call unit-test,vgpu,$(t),$(VGPU_TOOL_PARTS),$(VGPU_TOOL_LIBS))))

VM_CHECKS += "selftests/kmod/run --build $(B) vgpu_tool.py"
check-build: $(B)/vgpu $(B)/linux-debian/kmod/vgpu.ko
