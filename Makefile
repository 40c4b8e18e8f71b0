# SPDX-License-Identifier: MIT
# vgpu: make, make demo, make check, make bench, make style, make install.
# SAN=address|thread builds everything with sanitizers into a folder of its own.

ifeq ($(origin CC),default)
CC		:= gcc
endif
PYTHON		?= python3
CUDA_HOME	?= /usr/local/cuda
NVCC		?= $(CUDA_HOME)/bin/nvcc
SAN		?=
PREFIX		?= /usr/local
DESTDIR		?=

B := build$(if $(SAN),-$(SAN))

# Commands are shown with V=1.
ifndef V
.SILENT:
endif

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:

CPPFLAGS += -D_GNU_SOURCE -Iuapi -Iuserspace -Iselftests -I$(B)/gen -isystem $(CUDA_HOME)/include
CFLAGS	 ?= -O2 -g
CFLAGS	 += -std=gnu11 -fPIC -fvisibility=hidden -pthread
CFLAGS	 += -Wall -Wextra -Werror -Wno-unused-parameter
CFLAGS	 += -Wstrict-prototypes -Wmissing-prototypes -Wvla
LDFLAGS	 += -pthread
ifeq ($(SAN),address)
CFLAGS	 += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
LDFLAGS	 += -fsanitize=address,undefined
endif
ifeq ($(SAN),thread)
CFLAGS	 += -fsanitize=thread
LDFLAGS	 += -fsanitize=thread
endif

# $(call objects,folder[,files]): the objects of a folder's C files
objects = $(patsubst %.c,$(B)/obj/%.o,$(if $(2),$(addprefix $(1)/,$(2)),$(wildcard $(1)/*.c)))

# $(eval $(call unit-test,part,name,objects,libraries)): builds
# selftests/part/name.c to $(B)/tests/part/name and adds it to TESTS.
define unit-test
TESTS += $(B)/tests/$(1)/$(2)
$(B)/tests/$(1)/$(2): $(B)/obj/selftests/$(1)/$(2).o $(3)
	@mkdir -p $$(@D)
	@echo "  LD      $$@"
	$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$^ $(4)
endef

all:

# Each part says in its own build.mk what it is made of and adds to these.
ALL	:=
TESTS	:=	# programs and scripts that print TAP, run by make check
GEN	:=	# generated headers that must exist before anything is compiled

# First the parts that others link.
BASE	:= $(patsubst %,userspace/%/build.mk,proto channel cudafront nl daemon link)
include $(wildcard $(BASE)) kmod/build.mk
include $(sort $(filter-out $(BASE),$(wildcard userspace/*/build.mk tools/*/build.mk)))
include $(sort $(wildcard selftests/*/build.mk))

all: $(ALL)

$(B)/obj/%.o: %.c | $(GEN) cuda-headers
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

.PHONY: cuda-headers
cuda-headers:
	@test -f $(CUDA_HOME)/include/cuda.h || { \
	echo "vgpu: no cuda.h in $(CUDA_HOME)/include: install NVIDIA's CUDA toolkit" \
	     "(13.0 or newer) or set CUDA_HOME" >&2; exit 1; }

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

.PHONY: all tests clean
tests: all $(TESTS)

clean:
	rm -rf build build-address build-thread
