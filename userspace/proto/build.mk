# SPDX-License-Identifier: MIT
# The spec of the calls and the code that tools/vapigen makes of it.

VAPI_SPEC    := userspace/proto/cuda.vapi
VAPIGEN	     := $(PYTHON) -B tools/vapigen
VAPIGEN_SRC  := $(wildcard tools/vapigen/*.py)
VAPI_HEADERS := $(addprefix $(B)/gen/,calls.h client.h serve.h driver.h unsupported.h)
VAPI_SOURCES := $(addprefix $(B)/gen/,calls.c client.c public.c serve.c driver.c \
		  procs.c unsupported.c)
VAPI_FILES   := $(VAPI_HEADERS) $(VAPI_SOURCES) $(B)/gen/exports.map

GEN	 += $(VAPI_HEADERS)
CPPFLAGS += -I$(B)

$(VAPI_FILES) &: $(VAPI_SPEC) $(VAPIGEN_SRC)
	@mkdir -p $(B)/gen
	$(VAPIGEN) $(VAPI_SPEC) -o $(B)/gen

$(B)/obj/gen/%.o: $(B)/gen/%.c | $(GEN) cuda-headers
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# $(call gen-objects,names): the objects of generated C files
gen-objects = $(patsubst %,$(B)/obj/gen/%.o,$(1))

PROTO_OBJS := $(call objects,userspace/proto) $(call gen-objects,calls)
SERVE_OBJS := $(call gen-objects,serve driver)
# softgpu exports the same symbols as libcuda; both link with gen/exports.map.
FRONT_GEN_OBJS := $(call gen-objects,unsupported procs)
CLIENT_OBJS := $(call gen-objects,client public) $(FRONT_GEN_OBJS)

.PHONY: api-doc
api-doc: $(VAPI_SPEC) $(VAPIGEN_SRC)
	$(VAPIGEN) $(VAPI_SPEC) --doc Documentation/api.md
