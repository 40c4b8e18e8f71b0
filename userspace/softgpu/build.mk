# SPDX-License-Identifier: MIT
# softgpu: a libcuda.so.1 that runs on processors. The engine runs PTX and knows
# no handle; the driver API, the files api_*.c, stands on engine.h alone.
#
# ENGINE_OBJS is all of the engine: tests and fuzzers link that alone. The
# handlers of instructions, ops_*.c, are compiled twice, for any x86-64 and for
# AVX2; cpu.c chooses.

ENGINE_DIR	:= userspace/softgpu
ENGINE_OPS	:= $(basename $(notdir $(wildcard $(ENGINE_DIR)/ops_*.c)))
ENGINE_OBJS	:= $(filter-out $(B)/obj/$(ENGINE_DIR)/ops_%.o $(B)/obj/$(ENGINE_DIR)/api_%.o, \
			$(call objects,$(ENGINE_DIR))) \
		   $(ENGINE_OPS:%=$(B)/obj/$(ENGINE_DIR)/%.base.o) \
		   $(ENGINE_OPS:%=$(B)/obj/$(ENGINE_DIR)/%.v3.o)
ENGINE_LIBS	:= -lm

# No contraction and no strict aliasing: a register is read as what it is used
# as, and a product is rounded before it is added. (clang would complain about
# each loop over lanes that has no vector form, such as division.)
ENGINE_OPS_CFLAGS := -O3 -ffp-contract=off -fno-strict-aliasing -fno-math-errno \
		     -fno-trapping-math -Wno-pass-failed

$(B)/obj/$(ENGINE_DIR)/%.base.o: $(ENGINE_DIR)/%.c | $(GEN) cuda-headers
	@mkdir -p $(@D)
	@echo "  CC      $@"
	$(CC) $(CPPFLAGS) -DSG_ISA=base $(CFLAGS) $(ENGINE_OPS_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/obj/$(ENGINE_DIR)/%.v3.o: $(ENGINE_DIR)/%.c | $(GEN) cuda-headers
	@mkdir -p $(@D)
	@echo "  CC      $@"
	$(CC) $(CPPFLAGS) -DSG_ISA=v3 $(CFLAGS) $(ENGINE_OPS_CFLAGS) -march=x86-64-v3 \
		-MMD -MP -c -o $@ $<

SOFTGPU		   := $(B)/softgpu/libcuda.so.1
SOFTGPU_API_OBJS   := $(patsubst %.c,$(B)/obj/%.o,$(wildcard $(ENGINE_DIR)/api_*.c))
# FRONT_GEN_OBJS, what tools/vapigen made of the spec, is expanded late on purpose.
SOFTGPU_OBJS	   = $(SOFTGPU_API_OBJS) $(ENGINE_OBJS) $(CUDAFRONT_OBJS) $(FRONT_GEN_OBJS)

ALL += $(if $(wildcard $(ENGINE_DIR)/warp.c),$(SOFTGPU))

$(SOFTGPU): $(SOFTGPU_API_OBJS) $(ENGINE_OBJS) $(CUDAFRONT_OBJS) \
	    $(B)/obj/gen/unsupported.o $(B)/obj/gen/procs.o $(B)/gen/exports.map
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(CC) -shared $(CFLAGS) $(LDFLAGS) -Wl,-soname,libcuda.so.1 -Wl,-z,nodelete \
		-Wl,--version-script,$(B)/gen/exports.map -o $@ \
		$(SOFTGPU_OBJS) $(CUDAFRONT_LIBS) $(ENGINE_LIBS)
	ln -sf libcuda.so.1 $(@D)/libcuda.so
