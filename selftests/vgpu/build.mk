# SPDX-License-Identifier: MIT
# Tests of the command vgpu: what it reads and what it prints, and what it finds out
# from the daemons; with the module, in a VM, also selftests/kmod/vgpu_tool.py.

$(foreach t,words request output status,\
	$(eval $(call unit-test,vgpu,$(t),$(VGPU_TOOL_PARTS),$(VGPU_TOOL_LIBS))))

# The command itself, which has a test written in Python for each build of it.
TESTS += $(B)/tests/vgpu/pki
$(B)/tests/vgpu/pki: selftests/vgpu/pki.py $(B)/vgpu
	@mkdir -p $(@D)
	printf '#!/bin/sh\nexec $(PYTHON) $^\n' >$@
	chmod +x $@

VM_CHECKS += "selftests/vgpu/daemons.py --build $(B)" \
	     "selftests/kmod/run --build $(B) vgpu_tool.py" \
	     "tools/vm/vm run -- selftests/e2e/with_module $(B)/linux-debian/kmod/vgpu.ko \
		selftests/vgpu/daemons.py --device --build $(B)"
check-build: $(B)/vgpu $(B)/vgpud $(B)/vgpu-server $(B)/linux-debian/kmod/vgpu.ko
