# SPDX-License-Identifier: MIT
# Tests of softgpu: api_* call the library as an application does.

SOFTGPU_API_TESTS := $(patsubst selftests/softgpu/%.c,%,$(wildcard selftests/softgpu/api_*.c))
SOFTGPU_RPATH	  := -Wl,--disable-new-dtags,-rpath,$(abspath $(B)/softgpu)

# They exist where the library is built.
$(if $(filter $(SOFTGPU),$(ALL)),$(foreach t,$(SOFTGPU_API_TESTS),\
	$(eval $(call unit-test,softgpu,$(t),$(SOFTGPU),$$(SOFTGPU_RPATH)))))

# engine_*: the engine alone. Kernels are compiled by nvcc to PTX beside the tests.
ENGINE_TESTS	:= $(patsubst selftests/softgpu/%.c,%,$(wildcard selftests/softgpu/engine_*.c))
ENGINE_PTX	:= $(patsubst selftests/softgpu/ptx/%.cu,$(B)/tests/softgpu/%.ptx,\
			$(wildcard selftests/softgpu/ptx/*.cu))

$(foreach t,$(ENGINE_TESTS),\
	$(eval $(call unit-test,softgpu,$(t),$(ENGINE_OBJS),$$(ENGINE_LIBS))))
$(ENGINE_TESTS:%=$(B)/tests/softgpu/%): | $(ENGINE_PTX)
$(ENGINE_TESTS:%=$(B)/obj/selftests/softgpu/%.o): \
	CPPFLAGS += -DENGINE_PTX='"$(abspath $(B)/tests/softgpu)"'

$(B)/tests/softgpu/%.ptx: selftests/softgpu/ptx/%.cu
	@mkdir -p $(@D)
	$(NVCC) -ptx -o $@ $<
