# SPDX-License-Identifier: MIT
# Tests of softgpu: api_* call the library as an application does.

SOFTGPU_API_TESTS := $(patsubst selftests/softgpu/%.c,%,$(wildcard selftests/softgpu/api_*.c))
SOFTGPU_RPATH	  := -Wl,--disable-new-dtags,-rpath,$(abspath $(B)/softgpu)

# They exist where the library is built.
$(if $(filter $(SOFTGPU),$(ALL)),$(foreach t,$(SOFTGPU_API_TESTS),\
	$(eval $(call unit-test,softgpu,$(t),$(SOFTGPU),$$(SOFTGPU_RPATH)))))
