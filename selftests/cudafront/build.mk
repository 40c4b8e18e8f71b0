# SPDX-License-Identifier: MIT
# Tests of userspace/cudafront. images.c reads what nvcc makes of kernels.cu.

CUDAFRONT_T := $(B)/tests/cudafront
CUDAFRONT_I := $(CUDAFRONT_T)/made

cudafront_core := $(call objects,userspace/cudafront,export_table.c integrity.c cls.c)

$(eval $(call unit-test,cudafront,cls,$(cudafront_core)))
$(eval $(call unit-test,cudafront,export_table,$(cudafront_core)))
$(eval $(call unit-test,cudafront,proc_address,\
	$(cudafront_core) $(call objects,userspace/cudafront,proc_address.c)))
$(eval $(call unit-test,cudafront,visible,$(call objects,userspace/cudafront,visible.c)))
$(eval $(call unit-test,cudafront,errors,\
	$(call objects,userspace/cudafront,errors.c),$$(cudafront_runtime)))
$(eval $(call unit-test,cudafront,images,\
	$(call objects,userspace/cudafront,image.c fatbin.c elf.c),$$(CUDAFRONT_LIBS)))
$(eval $(call unit-test,cudafront,runtime,\
	| $(CUDAFRONT_T)/driver/libcuda.so.1,$$(cudafront_runtime)))

cudafront_runtime := -L$(CUDA_HOME)/lib64 -lcudart -Wl,-rpath,$(CUDA_HOME)/lib64

$(CUDAFRONT_T)/driver/libcuda.so.1: $(cudafront_core) \
		$(call objects,userspace/cudafront,proc_address.c errors.c) \
		$(B)/obj/selftests/cudafront/driver.o
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,libcuda.so.1 -o $@ $^

# Every CUresult that the cuda.h of this build knows.
$(B)/gen/cuda_results.h: $(CUDA_HOME)/include/cuda.h
	@mkdir -p $(@D)
	sed -nE 's/^ +(CUDA_(SUCCESS|ERROR_[A-Z0-9_]+)) *= *[0-9]+,?$$/RESULT(\1)/p' $< >$@
$(B)/obj/selftests/cudafront/errors.o: $(B)/gen/cuda_results.h

cudafront_images := stored.fatbin zstd.fatbin lz4.fatbin small.fatbin rdc.fatbin \
	debug.fatbin many.fatbin kernels.ptx sm_75.cubin sm_90.cubin sm_120.cubin

$(CUDAFRONT_I)/stored.fatbin: cudafront_flags := -fatbin -arch=sm_75 --compress-mode=none
$(CUDAFRONT_I)/zstd.fatbin: cudafront_flags := -fatbin -arch=sm_75
$(CUDAFRONT_I)/lz4.fatbin: cudafront_flags := -fatbin -arch=sm_75 --compress-mode=speed
$(CUDAFRONT_I)/small.fatbin: cudafront_flags := -fatbin -arch=sm_75 --compress-mode=size
$(CUDAFRONT_I)/rdc.fatbin: cudafront_flags := -fatbin -arch=sm_75 -rdc=true
$(CUDAFRONT_I)/debug.fatbin: cudafront_flags := -fatbin -arch=sm_75 -G
$(CUDAFRONT_I)/many.fatbin: cudafront_flags := -fatbin -gencode=arch=compute_75,code=sm_75 \
	-gencode=arch=compute_80,code=[compute_80,sm_80,sm_86] \
	-gencode=arch=compute_90a,code=[compute_90a,sm_90a] \
	-gencode=arch=compute_100f,code=sm_100f
$(CUDAFRONT_I)/kernels.ptx: cudafront_flags := -ptx -arch=sm_75
$(CUDAFRONT_I)/sm_%.cubin: cudafront_flags = -cubin -arch=$(basename $(@F)) -DLARGE

$(CUDAFRONT_I)/%: selftests/cudafront/kernels.cu
	@mkdir -p $(@D)
	$(NVCC) $(cudafront_flags) -o $@ $<

$(CUDAFRONT_T)/images: | $(addprefix $(CUDAFRONT_I)/,$(cudafront_images))
