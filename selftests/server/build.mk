# SPDX-License-Identifier: MIT
# Tests of the server: the parts of a worker by themselves, a worker behind a
# channel with a driver that the test plays, and the program.

$(foreach t,binding cache far handles privilege steer,\
	$(eval $(call unit-test,server,$(t),$(SERVER_PART_OBJS),$(SERVER_LIBS))))
$(foreach t,devices records,\
	$(eval $(call unit-test,server,$(t),$(B)/obj/selftests/server/fake_driver.o \
	$(SERVER_PART_OBJS),$(SERVER_LIBS))))

$(eval $(call unit-test,server,program,$(PROTO_OBJS) $(CHANNEL_OBJS),))
$(B)/tests/server/program: | $(B)/vgpu-server $(B)/softgpu/libcuda.so.1

# What anybody on the network may try, with the address sanitizer as well.
VM_CHECKS += "selftests/server/strangers.py --build $(B)" \
	     "selftests/server/strangers.py --build $(B)-address --san address"
