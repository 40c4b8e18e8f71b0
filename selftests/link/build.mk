# SPDX-License-Identifier: MIT
# Tests of what travels between hosts.

$(eval $(call unit-test,link,control,$(B)/obj/userspace/link/control_json.o,-ljansson -lcrypto))
