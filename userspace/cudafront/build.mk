# SPDX-License-Identifier: MIT
# Objects that libcuda and softgpu link whole; the server links those that read
# images. The unpacking needs $(CUDAFRONT_LIBS).

CUDAFRONT_OBJS	     := $(call objects,userspace/cudafront)
CUDAFRONT_IMAGE_OBJS := $(call objects,userspace/cudafront,image.c fatbin.c elf.c)
CUDAFRONT_LIBS	     := -lzstd -llz4
