// SPDX-License-Identifier: MIT
/* Generic netlink without a library; see fuzz_genl.h. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/vgpu.h>

#include "fuzz_genl.h"

void genl_begin(struct genl *m, uint16_t family, uint8_t cmd, uint16_t flags)
{
	memset(m, 0, sizeof(*m));
	m->head.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
	m->head.nlmsg_type = family;
	m->head.nlmsg_flags = NLM_F_REQUEST | flags;
	m->genl.cmd = cmd;
	m->genl.version = VGPU_GENL_VERSION;
}

void genl_put(struct genl *m, uint16_t attr, const void *data, size_t len)
{
	struct nlattr head = { .nla_type = attr, .nla_len = NLA_HDRLEN + len };
	size_t used = m->head.nlmsg_len - NLMSG_LENGTH(GENL_HDRLEN);

	if (used + NLA_ALIGN(head.nla_len) > sizeof(m->attrs))
		return;
	memcpy(m->attrs + used, &head, sizeof(head));
	memcpy(m->attrs + used + NLA_HDRLEN, data, len);
	m->head.nlmsg_len += NLA_ALIGN(head.nla_len);
}

void genl_put_u32(struct genl *m, uint16_t attr, uint32_t value)
{
	genl_put(m, attr, &value, sizeof(value));
}

void genl_put_u64(struct genl *m, uint16_t attr, uint64_t value)
{
	genl_put(m, attr, &value, sizeof(value));
}

void genl_put_string(struct genl *m, uint16_t attr, const char *text)
{
	genl_put(m, attr, text, strlen(text) + 1);
}

int genl_send(int fd, const struct genl *m)
{
	return send(fd, m, m->head.nlmsg_len, 0) < 0 ? -errno : 0;
}

/* The attribute of a message: its data of at least @size bytes, or NULL. */
static const void *find(const struct nlmsghdr *h, uint16_t attr, size_t size)
{
	const char *at = (const char *)NLMSG_DATA(h) + GENL_HDRLEN;
	const char *end = (const char *)h + h->nlmsg_len;
	struct nlattr head;

	for (; end - at >= NLA_HDRLEN; at += NLA_ALIGN(head.nla_len)) {
		memcpy(&head, at, sizeof(head));
		if (head.nla_len < NLA_HDRLEN)
			return NULL;
		if ((head.nla_type & NLA_TYPE_MASK) == attr)
			return head.nla_len >= NLA_HDRLEN + size ? at + NLA_HDRLEN : NULL;
	}
	return NULL;
}

static void take_message(const struct nlmsghdr *h, uint16_t attr, void *value, size_t size,
			 int *result)
{
	const void *data;

	if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE) {
		memcpy(result, NLMSG_DATA(h), sizeof(*result));
		return;
	}
	data = find(h, attr, size);
	if (data && value)
		memcpy(value, data, size);
}

static int take(int fd, int flags, uint16_t attr, void *value, size_t size)
{
	static char buffer[65536] __attribute__((aligned(NLMSG_ALIGNTO)));
	int result = 1;
	ssize_t n;

	while ((n = recv(fd, buffer, sizeof(buffer), flags)) > 0) {
		size_t left = n;

		for (struct nlmsghdr *h = (void *)buffer; NLMSG_OK(h, left);
		     h = NLMSG_NEXT(h, left))
			take_message(h, attr, value, size, &result);
		flags = MSG_DONTWAIT;
	}
	return n < 0 && errno != EAGAIN ? -errno : result;
}

int genl_take(int fd, uint32_t *device)
{
	return take(fd, MSG_DONTWAIT, VGPU_ATTR_DEVICE, device, sizeof(*device));
}

int genl_open(uint16_t *family)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	struct genl m;
	int err;

	if (fd < 0)
		return -errno;
	*family = 0;
	genl_begin(&m, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0);
	genl_put_string(&m, CTRL_ATTR_FAMILY_NAME, VGPU_GENL_NAME);
	err = genl_send(fd, &m);
	if (!err)
		err = take(fd, 0, CTRL_ATTR_FAMILY_ID, family, sizeof(*family));
	if (*family)
		return fd;
	close(fd);
	return err < 0 ? err : -ENOENT;
}
