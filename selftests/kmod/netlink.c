/* SPDX-License-Identifier: MIT */
/*
 * The netlink family against those who send nonsense, may not change anything, or
 * are in another namespace. What sensible requests do: manage.c.
 */
#include <sched.h>
#include <sys/socket.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include "kselftest_harness.h"
#include "testbed.h"

#define NOBODY	65534
#define A(name)	VGPU_ATTR_##name

struct attr {
	int		type;
	const void	*data;
	size_t		size;
};

#define U32(t, v)	{ t, &(const uint32_t){ v }, 4 }
#define U64(t, v)	{ t, &(const uint64_t){ v }, 8 }
#define TEXT(t, s)	{ t, s, sizeof(s) }

#define request_data FIXTURE_DATA(request)

FIXTURE(request)
{
	struct bed	bed;
	struct nl_sock	*sock;
	int		family;
	struct attr	device;		/* the bed's */
};

FIXTURE_SETUP(request)
{
	ASSERT_EQ(0, bed_open(&self->bed));
	self->sock = nl_socket_alloc();
	ASSERT_EQ(0, genl_connect(self->sock));
	self->family = genl_ctrl_resolve(self->sock, VGPU_GENL_NAME);
	ASSERT_LT(0, self->family);
	self->device = (struct attr){ A(DEVICE), &self->bed.device, 4 };
}

FIXTURE_TEARDOWN(request)
{
	nl_socket_free(self->sock);
	EXPECT_EQ(0, bed_close(&self->bed));
}

/* The error that ends the kernel's answer; 1 if it says nothing. */
static int answer(struct nl_sock *sock)
{
	static char buffer[1 << 16];
	struct nlmsghdr *h;
	int n;

	for (;;) {
		n = recv(nl_socket_get_fd(sock), buffer, sizeof(buffer), 0);
		if (n <= 0)
			return 1;
		for (h = (void *)buffer; nlmsg_ok(h, n); h = nlmsg_next(h, &n))
			if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE)
				return *(int *)nlmsg_data(h);
	}
}

static int send_message(struct nl_sock *sock, struct nl_msg *msg)
{
	int n = nl_send_auto(sock, msg);

	nlmsg_free(msg);
	return n < 0 ? 1 : answer(sock);
}

static int ask_of(struct nl_sock *sock, int family, int cmd, int flags, const struct attr *attrs,
		  size_t n)
{
	struct nl_msg *msg = nlmsg_alloc();
	size_t i;

	if (!msg || !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, flags | NLM_F_ACK, cmd,
				 VGPU_GENL_VERSION))
		return 1;
	for (i = 0; i < n; i++)
		if (nla_put(msg, attrs[i].type, attrs[i].size, attrs[i].data))
			return 1;
	return send_message(sock, msg);
}

#define ASK(cmd, ...) ask_of(self->sock, self->family, cmd, 0, \
	(const struct attr[]){ __VA_ARGS__ }, sizeof((const struct attr[]){ __VA_ARGS__ }) / \
	sizeof(struct attr))

static unsigned count_devices(const struct bed *bed)
{
	struct vgpu_nl_device *devices = NULL;
	int n = vgpu_nl_dump(bed->nl, &devices);

	free(devices);
	return n;
}

/* ---- nonsense ---- */

TEST_F(request, for_no_command)
{
	int cmd;

	EXPECT_EQ(-EOPNOTSUPP, ASK(VGPU_CMD_UNSPEC));
	for (cmd = VGPU_CMD_DEVICE_SET + 1; cmd < 256; cmd++)
		EXPECT_EQ(-EOPNOTSUPP, ASK(cmd, self->device)) TH_LOG("command %d", cmd);
}

TEST_F(request, for_dumps_that_there_are_not)
{
	static const int cmds[] = {
		VGPU_CMD_DEVICE_NEW, VGPU_CMD_DEVICE_DEL, VGPU_CMD_DEVICE_SET,
	};
	unsigned before = count_devices(&self->bed);
	int i;

	for (i = 0; i < 3; i++)
		EXPECT_EQ(-EOPNOTSUPP, ask_of(self->sock, self->family, cmds[i], NLM_F_DUMP,
					      &self->device, 1));
	EXPECT_EQ(before, count_devices(&self->bed));
}

static const int CMDS[] = {
	VGPU_CMD_DEVICE_NEW, VGPU_CMD_DEVICE_DEL, VGPU_CMD_DEVICE_GET, VGPU_CMD_DEVICE_SET,
};

/* Numbers that have no meaning, to none of the commands. */
TEST_F(request, with_unknown_attributes)
{
	static const int types[] = { VGPU_ATTR_MAX + 1, VGPU_ATTR_MAX + 2, 100, 255, 0x3fff };
	unsigned before = count_devices(&self->bed);
	size_t i, k;

	for (i = 0; i < 4; i++) {
		for (k = 0; k < sizeof(types) / sizeof(*types); k++) {
			EXPECT_EQ(-EINVAL, ASK(CMDS[i], { types[k], &types[k], 4 }))
				TH_LOG("command %d, attribute %d", CMDS[i], types[k]);
			/* a new device would have a number of its own */
			if (CMDS[i] != VGPU_CMD_DEVICE_NEW)
				EXPECT_EQ(-EINVAL, ASK(CMDS[i], self->device,
						       { types[k], &types[k], 4 }));
		}
	}
	EXPECT_EQ(before, count_devices(&self->bed));
}

static bool taken(int cmd, int type)
{
	if (type == A(DEVICE))
		return true;
	if (cmd == VGPU_CMD_DEVICE_DEL || cmd == VGPU_CMD_DEVICE_GET)
		return false;
	return type == A(NAME) || type == A(BACKEND) || type == A(MEMORY) || type == A(BUDGET) ||
	       type == A(CHANNEL_BUDGET) || (type == A(UUID) && cmd == VGPU_CMD_DEVICE_NEW);
}

/* What is told of a device is not to be set, and what is set once not again. */
TEST_F(request, with_attributes_of_others)
{
	static const char zeros[16];
	unsigned before = count_devices(&self->bed);
	const int sizes[] = { 4, 8, 16 };
	int i, type, k;

	for (i = 0; i < 4; i++)
		for (type = 0; type <= VGPU_ATTR_MAX; type++)
			for (k = 0; k < 3 && !taken(CMDS[i], type); k++)
				EXPECT_EQ(-EINVAL, ASK(CMDS[i], self->device,
						       { type, zeros, sizes[k] }))
					TH_LOG("command %d, attribute %d", CMDS[i], type);
	EXPECT_EQ(before, count_devices(&self->bed));
}

static bool is_refused(int err)
{
	return err == -EINVAL || err == -ERANGE;
}

TEST_F(request, with_attributes_of_wrong_sizes)
{
	static const struct { int type; size_t size; } wrong[] = {
		{ A(DEVICE), 0 }, { A(DEVICE), 3 }, { A(DEVICE), 5 }, { A(DEVICE), 8 },
		{ A(UUID), 0 }, { A(UUID), 15 }, { A(UUID), 17 }, { A(UUID), 37 },
		{ A(MEMORY), 0 }, { A(MEMORY), 4 }, { A(MEMORY), 7 }, { A(MEMORY), 9 },
		{ A(BUDGET), 4 }, { A(BUDGET), 16 },
		{ A(CHANNEL_BUDGET), 4 }, { A(CHANNEL_BUDGET), 16 },
		{ A(NAME), 0 }, { A(BACKEND), 0 },
	};
	static const char bytes[64];
	unsigned before = count_devices(&self->bed);
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		EXPECT_TRUE(is_refused(ASK(VGPU_CMD_DEVICE_NEW,
					   { wrong[i].type, bytes, wrong[i].size })))
			TH_LOG("attribute %d of %zu bytes", wrong[i].type, wrong[i].size);
	EXPECT_EQ(before, count_devices(&self->bed));
}

static void refuse_text(struct __test_metadata *_metadata, request_data *self, int type,
			const char *text, size_t size)
{
	EXPECT_TRUE(is_refused(ASK(VGPU_CMD_DEVICE_NEW, { type, text, size })));
	EXPECT_TRUE(is_refused(ASK(VGPU_CMD_DEVICE_SET, self->device, { type, text, size })));
}

TEST_F(request, with_texts_that_are_none)
{
	static const char *const bad[] = {
		"a\nb", "\t", "\x1b[31mred", "\x7f", "\x01", "gr\xc3\xbc\xc3\x9f", "\x80", "\xff",
	};
	char long_text[VGPU_BACKEND_MAX + 2];
	unsigned before = count_devices(&self->bed);
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		EXPECT_EQ(-EINVAL, ASK(VGPU_CMD_DEVICE_NEW,
				       { A(NAME), bad[i], strlen(bad[i]) + 1 }))
			TH_LOG("text %zu", i);
		EXPECT_EQ(-EINVAL, ASK(VGPU_CMD_DEVICE_SET, self->device,
				       { A(BACKEND), bad[i], strlen(bad[i]) + 1 }));
	}
	memset(long_text, 'x', sizeof(long_text));
	/* no end, and an end that comes too late */
	refuse_text(_metadata, self, A(NAME), long_text, 5);
	refuse_text(_metadata, self, A(BACKEND), long_text, 5);
	long_text[VGPU_NAME_MAX + 1] = 0;
	refuse_text(_metadata, self, A(NAME), long_text, VGPU_NAME_MAX + 2);
	long_text[VGPU_NAME_MAX + 1] = 'x';
	long_text[VGPU_BACKEND_MAX + 1] = 0;
	refuse_text(_metadata, self, A(BACKEND), long_text, VGPU_BACKEND_MAX + 2);
	EXPECT_EQ(before, count_devices(&self->bed));
	EXPECT_STREQ("", bed_look(&self->bed).name);
	EXPECT_STREQ("", bed_look(&self->bed).backend);
}

TEST_F(request, with_the_longest_texts)
{
	char name[VGPU_NAME_MAX + 1] = { 0 }, backend[VGPU_BACKEND_MAX + 1] = { 0 };
	int c;

	for (c = 0; c < VGPU_NAME_MAX; c++)
		name[c] = ' ' + c;
	for (c = 0; c < VGPU_BACKEND_MAX; c++)
		backend[c] = '~' - c % 95;
	EXPECT_EQ(0, ASK(VGPU_CMD_DEVICE_SET, self->device, TEXT(A(NAME), name),
			 TEXT(A(BACKEND), backend)));
	EXPECT_STREQ(name, bed_look(&self->bed).name);
	EXPECT_STREQ(backend, bed_look(&self->bed).backend);
}

/* Refused as a whole, if a part of it is. */
TEST_F(request, changes_all_or_nothing)
{
	EXPECT_EQ(-EINVAL, ASK(VGPU_CMD_DEVICE_SET, self->device, TEXT(A(NAME), "good"),
			       TEXT(A(BACKEND), "b\nad"), U64(A(MEMORY), 5)));
	EXPECT_STREQ("", bed_look(&self->bed).name);
	EXPECT_EQ(0, bed_look(&self->bed).memory);
}

TEST_F(request, that_is_cut_off)
{
	static const char half[] = { 9, 0, A(DEVICE), 0, 0 };
	struct nl_msg *msg = nlmsg_alloc_simple(self->family, NLM_F_ACK);

	/* no generic netlink header at all */
	EXPECT_EQ(-EINVAL, send_message(self->sock, msg));
	/* an attribute longer than the message */
	msg = nlmsg_alloc();
	genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, self->family, 0, NLM_F_ACK,
		    VGPU_CMD_DEVICE_GET, 1);
	nlmsg_append(msg, (void *)half, sizeof(half), 4);
	EXPECT_EQ(-EINVAL, send_message(self->sock, msg));
}

/* ---- devices that there are not ---- */

TEST_F(request, for_no_device)
{
	int i;

	for (i = 1; i < 4; i++) {
		EXPECT_EQ(-EINVAL, ASK(CMDS[i])) TH_LOG("command %d", CMDS[i]);
		EXPECT_EQ(-ENODEV, ASK(CMDS[i], U32(A(DEVICE), VGPU_MINORS - 1)));
		EXPECT_EQ(-ENODEV, ASK(CMDS[i], U32(A(DEVICE), VGPU_MINORS)));
		EXPECT_EQ(-ENODEV, ASK(CMDS[i], U32(A(DEVICE), ~0u)));
	}
}

TEST_F(request, for_numbers_that_cannot_be)
{
	EXPECT_EQ(-EEXIST, ASK(VGPU_CMD_DEVICE_NEW, self->device));
	EXPECT_EQ(-EINVAL, ASK(VGPU_CMD_DEVICE_NEW, U32(A(DEVICE), VGPU_MINORS)));
	EXPECT_EQ(-EINVAL, ASK(VGPU_CMD_DEVICE_NEW, U32(A(DEVICE), 1u << 20)));
	EXPECT_EQ(-EINVAL, ASK(VGPU_CMD_DEVICE_NEW, U32(A(DEVICE), ~0u)));
}

TEST_F(request, for_an_identity_that_is_taken)
{
	struct vgpu_nl_device d = bed_look(&self->bed);
	unsigned before = count_devices(&self->bed);

	EXPECT_EQ(-EEXIST, ASK(VGPU_CMD_DEVICE_NEW, { A(UUID), d.uuid, sizeof(d.uuid) }));
	EXPECT_EQ(-EEXIST, ASK(VGPU_CMD_DEVICE_NEW, U32(A(DEVICE), VGPU_MINORS - 1),
			       { A(UUID), d.uuid, sizeof(d.uuid) }));
	EXPECT_EQ(before, count_devices(&self->bed));
	EXPECT_EQ(-ENODEV, ASK(VGPU_CMD_DEVICE_GET, U32(A(DEVICE), VGPU_MINORS - 1)));
}

/* ---- who may not ---- */

static void may_look_only(struct __test_metadata *_metadata, request_data *self)
{
	EXPECT_EQ(-EPERM, ASK(VGPU_CMD_DEVICE_NEW));
	EXPECT_EQ(-EPERM, ASK(VGPU_CMD_DEVICE_DEL, self->device));
	EXPECT_EQ(-EPERM, ASK(VGPU_CMD_DEVICE_SET, self->device, TEXT(A(NAME), "mine")));
	EXPECT_EQ(-EPERM, ASK(VGPU_CMD_DEVICE_DEL, U32(A(DEVICE), VGPU_MINORS - 1)));
	EXPECT_EQ(0, ASK(VGPU_CMD_DEVICE_GET, self->device));
	EXPECT_EQ(0, ask_of(self->sock, self->family, VGPU_CMD_DEVICE_GET, NLM_F_DUMP, NULL, 0));
}

static int reconnect(struct nl_sock **sock)
{
	*sock = nl_socket_alloc();
	return genl_connect(*sock);
}

TEST_F(request, of_an_ordinary_user)
{
	pid_t pid = child();

	if (!pid) {
		EXPECT_EQ(0, setuid(NOBODY));
		/* with a socket that root made, and with one of its own */
		may_look_only(_metadata, self);
		EXPECT_EQ(0, reconnect(&self->sock));
		may_look_only(_metadata, self);
		_exit(!_metadata->passed);
	}
	EXPECT_EQ(0, join(pid));
}

/*
 * A program with rights that writes what it is told to a descriptor that it is
 * given, as sudo does with its output: the rights are not lent to whoever made
 * that descriptor a socket.
 */
TEST_F(request, by_a_descriptor_of_an_ordinary_user)
{
	struct nl_msg *msg = nlmsg_alloc();
	struct nlmsghdr *h;

	nl_socket_free(self->sock);
	ASSERT_EQ(0, seteuid(NOBODY));
	ASSERT_EQ(0, reconnect(&self->sock));
	ASSERT_EQ(0, seteuid(0));
	genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, self->family, 0, NLM_F_ACK,
		    VGPU_CMD_DEVICE_DEL, 1);
	ASSERT_EQ(0, nla_put(msg, A(DEVICE), 4, &self->bed.device));
	nl_complete_msg(self->sock, msg);
	h = nlmsg_hdr(msg);
	ASSERT_EQ(h->nlmsg_len, write(nl_socket_get_fd(self->sock), h, h->nlmsg_len));
	EXPECT_EQ(-EPERM, answer(self->sock));
	nlmsg_free(msg);
}

TEST_F(request, from_another_user_namespace)
{
	pid_t pid = child();

	if (!pid) {
		EXPECT_EQ(0, unshare(CLONE_NEWUSER));
		EXPECT_EQ(0, write_text("/proc/self/uid_map", "0 0 1"));
		EXPECT_EQ(0, geteuid());
		may_look_only(_metadata, self);
		EXPECT_EQ(0, reconnect(&self->sock));
		may_look_only(_metadata, self);
		_exit(!_metadata->passed);
	}
	EXPECT_EQ(0, join(pid));
}

static int join_group(struct nl_sock *sock, int group)
{
	return setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group,
			  sizeof(group)) ? -errno : 0;
}

static bool hears(struct nl_sock *sock)
{
	return ready(nl_socket_get_fd(sock)) == POLLIN;
}

/* It is not there: not by its name, not by its number, and its events are not heard. */
TEST_F(request, from_another_network_namespace)
{
	int group = genl_ctrl_resolve_grp(self->sock, VGPU_GENL_NAME, VGPU_GENL_EVENTS);
	int joined = gate_new(), told = gate_new();
	struct nl_sock *here;
	struct vgpu_nl *nl;
	pid_t pid;

	ASSERT_LT(0, group);
	ASSERT_EQ(0, reconnect(&here));
	ASSERT_EQ(0, join_group(here, group));
	pid = child();
	if (!pid) {
		EXPECT_EQ(0, unshare(CLONE_NEWNET));
		EXPECT_EQ(0, reconnect(&self->sock));
		EXPECT_EQ(-ENOENT, vgpu_nl_open(&nl));
		EXPECT_EQ(-ENOENT, ASK(VGPU_CMD_DEVICE_GET, self->device));
		EXPECT_EQ(-ENOENT, ASK(VGPU_CMD_DEVICE_NEW));
		join_group(self->sock, group);
		gate_open(joined);
		EXPECT_TRUE(gate_pass(told));
		EXPECT_FALSE(hears(self->sock));
		_exit(!_metadata->passed);
	}
	EXPECT_TRUE(gate_pass(joined));
	EXPECT_EQ(0, ASK(VGPU_CMD_DEVICE_SET, self->device, TEXT(A(NAME), "told")));
	EXPECT_TRUE(hears(here));
	gate_open(told);
	EXPECT_EQ(0, join(pid));
	nl_socket_free(here);
}

TEST_HARNESS_MAIN
