# SPDX-License-Identifier: MIT
# CUDA programs that check themselves, each built as a user would: with the
# defaults (static), with the shared runtime library, and with a default stream
# per thread (ptds); a few as relocatable device code (rdc). Some are linked with
# older runtimes as well, if those could be fetched. They are not instrumented,
# so SAN builds share them.

E2E_SRC		:= selftests/e2e/programs
E2E_B		?= $(if $(SAN),build,$(B))/e2e
E2E_NAMES	:= $(basename $(notdir $(wildcard $(E2E_SRC)/*.cu)))
E2E_NAMES	:= $(filter-out driver_api_kernels,$(E2E_NAMES))
E2E_PTDS	:= $(filter-out sort device_query error_names math,$(E2E_NAMES))
# Relocatable device code of one file: linked machine code, PTX beside it.
E2E_RDC		:= vector_add globals
E2E_OLD_NAMES	:= vector_add reduction histogram streams pinned_copies monte_carlo globals \
		   templates threads fail_assert fail_illegal_address bad_launch device_reset \
		   memory_info copies_2d large_copy host_functions dynamic_shared fork_child

E2E_STATIC	:= $(E2E_NAMES:%=$(E2E_B)/static/%)
E2E_PROGRAMS	:= $(E2E_STATIC) $(E2E_NAMES:%=$(E2E_B)/shared/%) $(E2E_PTDS:%=$(E2E_B)/ptds/%) \
		   $(E2E_RDC:%=$(E2E_B)/rdc/%)
E2E_KERNELS	:= $(foreach v,static shared ptds,$(E2E_B)/$(v)/driver_api_kernels.ptx \
		   $(E2E_B)/$(v)/driver_api_kernels.fatbin)
E2E_OLD		:= $(E2E_OLD_NAMES:%=$(E2E_B)/old-11.8/%) $(E2E_OLD_NAMES:%=$(E2E_B)/old-12.4/%)

E2E_LIBS_nvrtc		:= -lnvrtc -lcuda
E2E_LIBS_driver_api	:= -lcuda
E2E_LIBS_memory_info	:= -lcuda
E2E_LIBS_error_names	:= -lcuda
E2E_STUBS		:= -L$(CUDA_HOME)/lib64/stubs

# libraries that a program (the target) needs, if any
e2e-libs = $(if $(E2E_LIBS_$(@F)),$(E2E_STUBS) $(E2E_LIBS_$(@F)))

$(E2E_B)/obj/static/%.o: $(E2E_SRC)/%.cu $(wildcard $(E2E_SRC)/*.h)
	@mkdir -p $(@D)
	@echo "  NVCC    $@"
	$(NVCC) -c -o $@ $<

$(E2E_B)/obj/ptds/%.o: $(E2E_SRC)/%.cu $(wildcard $(E2E_SRC)/*.h)
	@mkdir -p $(@D)
	@echo "  NVCC    $@"
	$(NVCC) --default-stream per-thread -c -o $@ $<

$(E2E_B)/%/driver_api_kernels.ptx: $(E2E_SRC)/driver_api_kernels.cu
	@mkdir -p $(@D)
	@echo "  NVCC    $@"
	$(NVCC) -ptx -o $@ $<

$(E2E_B)/%/driver_api_kernels.fatbin: $(E2E_SRC)/driver_api_kernels.cu
	@mkdir -p $(@D)
	@echo "  NVCC    $@"
	$(NVCC) -fatbin -o $@ $<

$(E2E_B)/static/%: $(E2E_B)/obj/static/%.o
	@mkdir -p $(@D)
	@echo "  NVCC    $@"
	$(NVCC) -o $@ $< $(e2e-libs)

$(E2E_B)/shared/%: $(E2E_B)/obj/static/%.o
	@mkdir -p $(@D)
	@echo "  NVCC    $@"
	$(NVCC) -cudart shared -o $@ $< $(e2e-libs)

$(E2E_B)/ptds/%: $(E2E_B)/obj/ptds/%.o
	@mkdir -p $(@D)
	@echo "  NVCC    $@"
	$(NVCC) -o $@ $< $(e2e-libs)

$(E2E_B)/rdc/%: $(E2E_SRC)/%.cu $(wildcard $(E2E_SRC)/*.h)
	@mkdir -p $(@D)
	@echo "  NVCC    $@"
	$(NVCC) -rdc=true -o $@ $<

# The folders of old runtimes come from selftests/e2e/runtimes.
$(E2E_B)/obj/old_runtime.o: selftests/e2e/old_runtime.c
	@mkdir -p $(@D)
	gcc -O2 -I$(CUDA_HOME)/include -c -o $@ $<

define e2e-old
$(E2E_B)/old-$(1)/%: $(E2E_B)/obj/static/%.o $(E2E_B)/obj/old_runtime.o $(E2E_B)/runtimes/$(1)
	@mkdir -p $$(@D)
	g++ -o $$@ $$< $(E2E_B)/obj/old_runtime.o $(E2E_B)/runtimes/$(1)/$(2) \
		$$(if $$(E2E_LIBS_$$(@F)),$(E2E_STUBS) $$(E2E_LIBS_$$(@F)))
endef
$(eval $(call e2e-old,11.8,libcudart.so.11.0))
$(eval $(call e2e-old,12.4,libcudart.so.12))

.PHONY: e2e-programs e2e-old-programs
e2e-programs: $(E2E_PROGRAMS) $(E2E_KERNELS)
e2e-old-programs: $(E2E_OLD)

# Over /dev/vgpuN: all programs as root and as a user of the devices' group, which
# devices a program sees, and what is left of the dead.
e2e-vm = "tools/vm/vm run --timeout 580 -- selftests/e2e/with_module \
	$(B)/linux-debian/kmod/vgpu.ko selftests/e2e/$(1) --build $(B) --programs $(E2E_B)"
VM_CHECKS += $(call e2e-vm,device.py) $(call e2e-vm,run.py --mode device) \
	     $(call e2e-vm,run.py --mode device --user 1000:4242) \
	     $(call e2e-vm,kill.py --mode device)
check-build: $(B)/linux-debian/kmod/vgpu.ko
