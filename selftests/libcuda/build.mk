# SPDX-License-Identifier: MIT
# Tests of libcuda that need no server.

$(eval $(call unit-test,libcuda,tables,$(LIBCUDA_OBJS),$(LIBCUDA_LIBS)))
$(eval $(call unit-test,libcuda,bad_worker,$(LIBCUDA_OBJS),$(LIBCUDA_LIBS)))
$(eval $(call unit-test,libcuda,rewriter,$(LIBCUDA_OBJS),$(LIBCUDA_LIBS)))
$(eval $(call unit-test,libcuda,connect,$(call objects,userspace/libcuda,connect.c) $(PROTO_OBJS)))
$(eval $(call unit-test,libcuda,early,$(call objects,userspace/libcuda,early.c)))
