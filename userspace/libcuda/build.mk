# SPDX-License-Identifier: MIT
# libcuda.so.1, the app's end. It may be the only file of ours in a container,
# so it needs the C library and nothing else: SHA-256 is linked from libcrypto.a.

LIBCUDA	     := $(B)/lib/libcuda.so.1
LIBCUDA_OBJS := $(call objects,userspace/libcuda) $(CLIENT_OBJS) $(PROTO_OBJS) \
		$(CHANNEL_OBJS) $(CUDAFRONT_OBJS)
LIBCUDA_LIBS := -l:libcrypto.a -l:libzstd.a -l:liblz4.a -ldl

ALL += $(LIBCUDA)

$(LIBCUDA): $(LIBCUDA_OBJS) $(B)/gen/exports.map
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(CC) -shared $(CFLAGS) $(LDFLAGS) -Wl,-soname,libcuda.so.1 -Wl,-z,nodelete -Wl,-Bsymbolic \
		-Wl,--version-script,$(B)/gen/exports.map -o $@ \
		$(LIBCUDA_OBJS) -Wl,--exclude-libs,ALL $(LIBCUDA_LIBS)
	ln -sf libcuda.so.1 $(@D)/libcuda.so
