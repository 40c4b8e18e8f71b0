# SPDX-License-Identifier: MIT
# Management of devices over netlink, linked by the server and tools/vgpu.
# libnl is linked in: its users start fast and run where it is not installed.

NL_OBJS	:= $(call objects,userspace/nl)
NL_LIBS	:= -l:libnl-genl-3.a -l:libnl-3.a

# Until tools/setup has run there may be no pkg-config: the compiler says what is missing.
NL_CPPFLAGS := $(patsubst -I%,-isystem %,$(shell pkg-config --cflags libnl-genl-3.0 2>/dev/null))
$(B)/obj/userspace/nl/%.o $(B)/obj/selftests/nl/%.o: CPPFLAGS += $(NL_CPPFLAGS)
