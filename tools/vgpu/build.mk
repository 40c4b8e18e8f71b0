# SPDX-License-Identifier: MIT
# vgpu, the operator's command, and what a host that has the module needs:
# who may use the devices, completion.

VGPU_TOOL_OBJS	:= $(call objects,tools/vgpu)
# What a test of its parts links: all but the program itself.
VGPU_TOOL_PARTS	:= $(filter-out %/main.o,$(VGPU_TOOL_OBJS)) $(NL_OBJS)
VGPU_TOOL_LIBS	:= -l:libjansson.a $(NL_LIBS) -l:libcrypto.a -ldl

ALL += $(B)/vgpu

$(B)/vgpu: $(VGPU_TOOL_OBJS) $(NL_OBJS)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(VGPU_TOOL_LIBS)

# ---- install ----

DKMS_VERSION = $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)
DKMS_SOURCE  = $(DESTDIR)/usr/src/vgpu-$(DKMS_VERSION)

.PHONY: install-tool install-dkms
install: install-tool

install-tool: $(B)/vgpu
	install -D -m 755 $(B)/vgpu $(DESTDIR)$(PREFIX)/bin/vgpu
	install -D -m 644 tools/vgpu/completion.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/vgpu
	install -D -m 644 tools/vgpu/60-vgpu.rules \
		$(DESTDIR)$(PREFIX)/lib/udev/rules.d/60-vgpu.rules

# The module as source, for DKMS to build, and loaded at boot from then on.
install-dkms:
	@for file in dkms.conf Kbuild kmod/Kbuild $(wildcard kmod/*.[ch]) uapi/linux/vgpu.h; do \
		install -D -m 644 $$file $(DKMS_SOURCE)/$$file || exit; \
	done
	install -D -m 644 -t $(DKMS_SOURCE)/LICENSES LICENSES/GPL-2.0-only.txt \
		LICENSES/Linux-syscall-note.txt
	install -D -m 644 tools/vgpu/modprobe.conf \
		$(DESTDIR)$(PREFIX)/lib/modprobe.d/vgpu.conf
	install -D -m 644 tools/vgpu/modules-load.conf \
		$(DESTDIR)$(PREFIX)/lib/modules-load.d/vgpu.conf
	@echo "vgpu: next: dkms install vgpu/$(DKMS_VERSION)"
