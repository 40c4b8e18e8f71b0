# SPDX-License-Identifier: MIT
# Tests of what travels between hosts.

# Bytes over a connection, and trust. Certificates are made as `vgpu pki` makes them.
STREAM_OBJS := $(call objects,userspace/link,stream.c secure.c sink.c trouble.c tls.c verbs.c \
	verbs_handshake.c verbs_device.c)
STREAM_LIBS := -l:libssl.a -l:libcrypto.a -ldl -libverbs
$(eval $(call unit-test,link,stream,$(STREAM_OBJS),$(STREAM_LIBS)))
$(eval $(call unit-test,link,tls,$(STREAM_OBJS) $(call objects,tools/vgpu,pki_make.c),\
	$(STREAM_LIBS)))
$(eval $(call unit-test,link,control,$(STREAM_OBJS) \
	$(call objects,userspace/link,control.c control_json.c),$(STREAM_LIBS) -ljansson))
$(eval $(call unit-test,link,address,$(call objects,userspace/link,address.c)))

# With a kernel that encrypts, which it has to do then.
VM_CHECKS += "tools/vm/vm run -- sh -c \
	'modprobe tls && exec env TEST_KTLS=1 $(B)/tests/link/stream'"

# The mirror: two of them, with a wire between them that can be cut.
MIRROR_OBJS := $(LINK_OBJS) $(CHANNEL_OBJS) $(RELAY_OBJS)
$(eval $(call unit-test,link,mirror,$(MIRROR_OBJS),$(LINK_LIBS)))
$(eval $(call unit-test,link,mirror_lies,$(MIRROR_OBJS),$(LINK_LIBS)))

# Streams that offer RDMA: without a device here, with one (Soft-RoCE) there.
$(eval $(call unit-test,link,verbs,$(STREAM_OBJS),$(STREAM_LIBS) -pthread))
VM_CHECKS += "tools/vm/vm run -- selftests/link/soft_roce dummy $(B)/tests/link/verbs"
