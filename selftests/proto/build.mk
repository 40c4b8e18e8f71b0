# SPDX-License-Identifier: MIT
# Tests of the spec's generator and of what it makes: the generator's output
# for a small spec, bad specs, and calls from stub to decoder and back.

TESTS += selftests/proto/vapigen.py

$(B)/gen/fakes.c: $(VAPI_SPEC) $(VAPIGEN_SRC)
	@mkdir -p $(@D)
	$(VAPIGEN) $(VAPI_SPEC) --fakes $@

# Generated code that stands on a fake libcuda and a fake worker.
$(B)/obj/selftests/proto/gen/%.o: $(B)/gen/%.c | $(GEN) cuda-headers
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/obj/selftests/proto/%.o: CPPFLAGS := -Iselftests/proto/fake -Iselftests/proto $(CPPFLAGS)

$(eval $(call unit-test,proto,roundtrip,$(B)/obj/selftests/proto/fake.o \
	$(addprefix $(B)/obj/selftests/proto/gen/,client.o serve.o fakes.o) \
	$(call gen-objects,calls)))
$(eval $(call unit-test,proto,hello,$(PROTO_OBJS)))

# What the libraries export, those that are built.
proto_libs := $(filter $(B)/lib/libcuda.so.1 $(B)/softgpu/libcuda.so.1,$(ALL))
ifneq ($(proto_libs),)
TESTS += $(B)/tests/proto/exports
$(B)/tests/proto/exports: selftests/proto/exports.py $(proto_libs)
	@mkdir -p $(@D)
	printf '#!/bin/sh\nexec $(PYTHON) $^\n' >$@
	chmod +x $@
endif
