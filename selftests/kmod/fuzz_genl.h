/* SPDX-License-Identifier: MIT */
/*
 * Generic netlink without a library: messages that are sent as they are, be they
 * sense or nonsense, each by one system call, and answers that are taken by others.
 */
#ifndef VGPU_SELFTESTS_KMOD_FUZZ_GENL_H
#define VGPU_SELFTESTS_KMOD_FUZZ_GENL_H

#include <stddef.h>
#include <stdint.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>

#define GENL_ROOM	1024

struct genl {
	struct nlmsghdr		head;
	struct genlmsghdr	genl;
	char			attrs[GENL_ROOM];
};

/* A socket of the family; -errno. It does not block. */
int genl_open(uint16_t *family);

void genl_begin(struct genl *m, uint16_t family, uint8_t cmd, uint16_t flags);
/* What there is no room for is left out. */
void genl_put(struct genl *m, uint16_t attr, const void *data, size_t len);
void genl_put_u32(struct genl *m, uint16_t attr, uint32_t value);
void genl_put_u64(struct genl *m, uint16_t attr, uint64_t value);
void genl_put_string(struct genl *m, uint16_t attr, const char *text);

int genl_send(int fd, const struct genl *m);
/*
 * All that came since: the error of the last acknowledgement or end of a dump; 1:
 * there was none. The device that the last answer told of goes to @device unless
 * that is NULL. -ENOBUFS: the kernel had no memory for an answer.
 */
int genl_take(int fd, uint32_t *device);

#endif /* VGPU_SELFTESTS_KMOD_FUZZ_GENL_H */
