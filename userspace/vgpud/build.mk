# SPDX-License-Identifier: MIT
# vgpud, the client host's daemon, and what it comes with.

VGPUD_OBJS	:= $(call objects,userspace/vgpud)
# What a test of its parts links: all but the program itself.
VGPUD_PART_OBJS := $(filter-out %/main.o,$(VGPUD_OBJS)) $(RELAY_OBJS) $(CHANNEL_OBJS) \
		   $(LINK_OBJS) $(DAEMON_OBJS) $(NL_OBJS)
VGPUD_LIBS	:= -l:libinih.a $(NL_LIBS) $(DAEMON_LIBS) $(LINK_LIBS)

ALL += $(B)/vgpud

$(B)/vgpud: $(B)/obj/userspace/vgpud/main.o $(VGPUD_PART_OBJS)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(VGPUD_LIBS)

# ---- install ----

.PHONY: install-vgpud
install: install-vgpud

# The configuration is the operator's: one that is there stays.
install-vgpud: $(B)/vgpud
	install -D -m 755 $(B)/vgpud $(DESTDIR)$(PREFIX)/sbin/vgpud
	install -D -m 644 userspace/vgpud/vgpud.conf \
		$(DESTDIR)$(PREFIX)/share/doc/vgpu/vgpud.conf
