# SPDX-License-Identifier: MIT
# vgpu-server: listens, and is its own workers. Few shared libraries: a worker
# starts sooner.

SERVER_OBJS	  := $(call objects,userspace/server)
# What a test of a worker's parts links: all but the program itself.
SERVER_PART_OBJS  := $(filter-out %/main.o,$(SERVER_OBJS)) $(PROTO_OBJS) $(SERVE_OBJS) \
	$(CHANNEL_OBJS) $(RELAY_OBJS) $(CUDAFRONT_IMAGE_OBJS) $(NL_OBJS) $(DAEMON_OBJS) $(LINK_OBJS)
SERVER_LIBS	  := $(LINK_LIBS) -l:libzstd.a -l:liblz4.a $(NL_LIBS) $(DAEMON_LIBS)

ALL += $(B)/vgpu-server

$(B)/vgpu-server: $(B)/obj/userspace/server/main.o $(SERVER_PART_OBJS)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(SERVER_LIBS)
