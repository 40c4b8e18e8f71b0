# SPDX-License-Identifier: MIT
# softgpu: a libcuda.so.1 that runs on processors. The engine runs PTX and knows
# no handle; the driver API, the files api_*.c, stands on engine.h alone.

SOFTGPU		   := $(B)/softgpu/libcuda.so.1
SOFTGPU_API_OBJS   := $(patsubst %.c,$(B)/obj/%.o,$(wildcard userspace/softgpu/api_*.c))
SOFTGPU_ENGINE_OBJS := $(filter-out $(SOFTGPU_API_OBJS),$(call objects,userspace/softgpu))
# FRONT_GEN_OBJS, what tools/vapigen made of the spec, is expanded late on purpose.
SOFTGPU_OBJS	   = $(SOFTGPU_API_OBJS) $(SOFTGPU_ENGINE_OBJS) $(CUDAFRONT_OBJS) $(FRONT_GEN_OBJS)

# The library is part of "make all" as soon as the engine has its launches.
ALL += $(if $(wildcard userspace/softgpu/launch.c),$(SOFTGPU))

$(SOFTGPU): $(SOFTGPU_API_OBJS) $(SOFTGPU_ENGINE_OBJS) $(CUDAFRONT_OBJS) \
	    $(B)/obj/gen/unsupported.o $(B)/obj/gen/procs.o $(B)/gen/exports.map
	@mkdir -p $(@D)
	$(CC) -shared $(CFLAGS) $(LDFLAGS) -Wl,-soname,libcuda.so.1 -Wl,-z,nodelete \
		-Wl,--version-script,$(B)/gen/exports.map -o $@ \
		$(SOFTGPU_OBJS) $(CUDAFRONT_LIBS) -lm
	ln -sf libcuda.so.1 $(@D)/libcuda.so
