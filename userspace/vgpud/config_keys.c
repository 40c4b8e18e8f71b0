/* SPDX-License-Identifier: MIT */
/* Sections, their keys, and what may be said of each. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "link/stream.h"
#include "vgpud/config_keys.h"

/* ---- values: each setter takes one to where it belongs, or -EINVAL ---- */

/* As the backend of a device has it: digits, no sign, no zeros in front. */
static int parse_number(const char *text, uint64_t most, uint64_t *n)
{
	char *end;

	if (!isdigit((unsigned char)*text) || (*text == '0' && text[1]))
		return -EINVAL;
	errno = 0;
	*n = strtoull(text, &end, 10);
	return errno || *end || *n > most ? -EINVAL : 0;
}

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

static int set_path(void *to, const char *value)
{
	if (*value != '/' || !value[1] || !is_printable(value))
		return -EINVAL;
	strcpy(to, value);
	return 0;
}

static int set_path_or_none(void *to, const char *value)
{
	if (strcmp(value, "none"))
		return set_path(to, value);
	strcpy(to, value);
	return 0;
}

/* It and the name of the lock beside it are names of files that a socket can have. */
static int set_socket(void *to, const char *value)
{
	return strlen(value) > 100 ? -EINVAL : set_path_or_none(to, value);
}

static int set_between(unsigned *to, const char *value, unsigned least, unsigned most)
{
	uint64_t n;

	if (parse_number(value, most, &n) || n < least)
		return -EINVAL;
	*to = n;
	return 0;
}

static int set_seconds(void *to, const char *value)
{
	return set_between(to, value, 1, 86400);
}

static int set_sessions(void *to, const char *value)
{
	return set_between(to, value, 1, 16384);
}

static int set_ordinal(void *to, const char *value)
{
	return set_between(to, value, 0, INT32_MAX);
}

static int set_yes_no(void *to, const char *value)
{
	bool yes = !strcmp(value, "yes");

	if (!yes && strcmp(value, "no"))
		return -EINVAL;
	*(bool *)to = yes;
	return 0;
}

static int set_address(void *to, const char *value)
{
	char host[VGPU_CONFIG_TEXT], port[8];

	if (!is_printable(value) || vgpu_address_parse(value, host, sizeof(host), port))
		return -EINVAL;
	strcpy(to, value);
	return 0;
}

static int set_host(void *to, const char *value)
{
	if (!*value || strpbrk(value, " \t") || !is_printable(value))
		return -EINVAL;
	strcpy(to, value);
	return 0;
}

static int set_name(void *to, const char *value)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";

	if (!*value || strlen(value) >= VGPU_CONFIG_NAME || value[strspn(value, allowed)] ||
	    !isalnum((unsigned char)*value) || !strcmp(value, "local"))
		return -EINVAL;
	strcpy(to, value);
	return 0;
}

static int set_link(void *to, const char *value)
{
	static const char *const words[] = {
		[VGPU_LINK_AUTO] = "auto", [VGPU_LINK_VERBS] = "verbs", [VGPU_LINK_TCP] = "tcp",
	};

	for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (strcmp(value, words[i]))
			continue;
		*(enum vgpu_config_link *)to = i;
		return 0;
	}
	return -EINVAL;
}

int vgpu_config_gpu_parse(const char *text, struct vgpu_config_gpu *gpu)
{
	const char *colon = strrchr(text, ':');
	struct vgpu_config_gpu g;
	char name[VGPU_CONFIG_NAME];

	if (!colon || (size_t)(colon - text) >= sizeof(name))
		return -EINVAL;
	snprintf(name, sizeof(name), "%.*s", (int)(colon - text), text);
	if (set_name(g.server, name) || set_ordinal(&g.ordinal, colon + 1))
		return -EINVAL;
	*gpu = g;
	return 0;
}

/* "NAME:0, NAME:1": @to is the whole configuration. */
static int set_gpus(void *to, const char *value)
{
	struct vgpu_config *c = to;
	char copy[VGPU_CONFIG_TEXT], *rest = copy, *word;

	strcpy(copy, value);
	c->nsocket_gpus = 0;
	while ((word = strsep(&rest, ","))) {
		size_t length;

		word += strspn(word, " \t");
		length = strcspn(word, " \t");
		if (word[length + strspn(word + length, " \t")] ||
		    c->nsocket_gpus == VGPU_CHANNEL_DEVICES)
			return -EINVAL;
		word[length] = 0;
		if (vgpu_config_gpu_parse(word, &c->socket_gpus[c->nsocket_gpus++]))
			return -EINVAL;
	}
	return 0;
}

/* ---- keys ---- */

struct key {
	const char	*name;
	int		(*set)(void *to, const char *value);
	size_t		offset;		/* in what the section is about */
	const char	*allowed;
};

#define A_PATH		"an absolute path"
#define A_PATH_OR_NONE	"an absolute path, or none"
#define A_SOCKET_OR_NONE "an absolute path of at most 100 bytes, or none"
#define A_NAME		"a server's name: at most 32 letters, digits and ._-, not local"

static const struct key daemon_keys[] = {
	{ "ctl", set_path_or_none, offsetof(struct vgpu_config, ctl), A_PATH_OR_NONE },
	{ "socket", set_socket, offsetof(struct vgpu_config, socket), A_SOCKET_OR_NONE },
	{ "status", set_socket, offsetof(struct vgpu_config, status), A_SOCKET_OR_NONE },
	{ "grace", set_seconds, offsetof(struct vgpu_config, grace), "1 to 86400 seconds" },
	{ "sessions", set_sessions, offsetof(struct vgpu_config, sessions), "1 to 16384" },
	{ "sessions_per_user", set_sessions, offsetof(struct vgpu_config, sessions_per_user),
	  "1 to 16384" },
	{}
};

static const struct key tls_keys[] = {
	{ "ca", set_path, offsetof(struct vgpu_config, ca), A_PATH },
	{ "cert", set_path, offsetof(struct vgpu_config, cert), A_PATH },
	{ "key", set_path, offsetof(struct vgpu_config, key), A_PATH },
	{ "crl", set_path, offsetof(struct vgpu_config, crl), A_PATH },
	{}
};

static const struct key server_keys[] = {
	{ "address", set_address, offsetof(struct vgpu_config_server, address),
	  "HOST, HOST:PORT or [IPV6]:PORT" },
	{ "plain", set_yes_no, offsetof(struct vgpu_config_server, plain), "yes or no" },
	{ "name", set_host, offsetof(struct vgpu_config_server, certificate),
	  "the host name or address in the server's certificate" },
	{}
};

static const struct key device_keys[] = {
	{ "server", set_name, offsetof(struct vgpu_config_device, gpu.server), A_NAME },
	{ "gpu", set_ordinal, offsetof(struct vgpu_config_device, gpu.ordinal),
	  "the number of a GPU of the server, from 0 on" },
	{ "link", set_link, offsetof(struct vgpu_config_device, link), "auto, verbs or tcp" },
	{}
};

static const struct key socket_keys[] = {
	{ "gpus", set_gpus, 0, "SERVER:K, at most 16 of them with commas between" },
	{}
};

/* ---- sections ---- */

static int begin_server(struct config_parser *p, const char *name)
{
	struct vgpu_config *c = p->config;
	struct vgpu_config_server *s;
	int known = vgpu_config_find(c, name);

	if (known >= 0) {
		p->item = known;
		return 0;
	}
	if (c->nservers == VGPU_CONFIG_SERVERS)
		return config_wrong(p, &p->here, "there can be at most %d servers",
				    VGPU_CONFIG_SERVERS);
	s = &c->servers[c->nservers];
	*s = (struct vgpu_config_server){ .place = p->here };
	if (set_name(s->name, name))
		return config_wrong(p, &p->here, "\"%s\" is not " A_NAME, name);
	p->item = c->nservers++;
	return 0;
}

static int begin_device(struct config_parser *p, const char *name)
{
	struct vgpu_config *c = p->config;
	struct vgpu_config_device *devices;
	uint64_t number;

	if (parse_number(name, VGPU_MINORS - 1, &number))
		return config_wrong(p, &p->here, "\"%s\" is not the N of a /dev/vgpuN: 0 to %d",
				    name, VGPU_MINORS - 1);
	for (p->item = 0; p->item < c->ndevices; p->item++)
		if (c->devices[p->item].number == number)
			return 0;
	devices = reallocarray(c->devices, c->ndevices + 1, sizeof(*devices));
	if (!devices)
		return config_wrong(p, &p->here, "%s", strerror(ENOMEM));
	c->devices = devices;
	c->devices[c->ndevices++] = (struct vgpu_config_device){
		.number = number, .place = p->here,
	};
	return 0;
}

static const struct section {
	const char		*name;
	const struct key	*keys;
	int			(*begin)(struct config_parser *p, const char *name);
	const char		*argument;
} sections[CONFIG_SECTIONS] = {
	[CONFIG_DAEMON] = { "daemon", daemon_keys, NULL, "" },
	[CONFIG_TLS]	= { "tls", tls_keys, NULL, "" },
	[CONFIG_SERVER] = { "server", server_keys, begin_server, " NAME" },
	[CONFIG_DEVICE] = { "device", device_keys, begin_device, " N" },
	[CONFIG_SOCKET] = { "socket", socket_keys, NULL, "" },
};

int config_section(struct config_parser *p, const char *text)
{
	char word[VGPU_CONFIG_TEXT];
	const char *argument;
	size_t length;

	text += strspn(text, " \t");
	length = strcspn(text, " \t");
	snprintf(word, sizeof(word), "%.*s", (int)length, text);
	argument = text + length + strspn(text + length, " \t");
	for (p->section = CONFIG_DAEMON; p->section < CONFIG_SECTIONS; p->section++) {
		const struct section *s = &sections[p->section];

		if (!strcmp(s->name, word) && !*argument == !s->begin)
			return s->begin ? s->begin(p, argument) : 0;
	}
	return config_wrong(p, &p->here, "there is no [%s]; there are [daemon], [tls], "
			    "[server NAME], [device N], [socket]", text);
}

/* What keys of the present section write to. */
static void *subject(struct config_parser *p)
{
	switch (p->section) {
	case CONFIG_SERVER:
		return &p->config->servers[p->item];
	case CONFIG_DEVICE:
		return &p->config->devices[p->item];
	default:
		return p->config;
	}
}

static int unknown_key(struct config_parser *p, const struct section *s, const char *name)
{
	char known[256] = "";

	for (const struct key *k = s->keys; k->name; k++) {
		strcat(known, k == s->keys ? "" : ", ");
		strcat(known, k->name);
	}
	return config_wrong(p, &p->here, "[%s%s] has no \"%s\"; it has %s", s->name, s->argument,
			    name, known);
}

int config_key(struct config_parser *p, const char *name, const char *value)
{
	const struct section *s = &sections[p->section];

	if (p->section == CONFIG_NONE)
		return config_wrong(p, &p->here, "\"%s\" is in no section: begin with [daemon], "
				    "[tls], [server NAME], [device N] or [socket]", name);
	/* inih's lines are shorter, unless somebody has built it otherwise. */
	if (strlen(value) >= VGPU_CONFIG_TEXT)
		return config_wrong(p, &p->here, "the value of %s is too long", name);
	if (p->section == CONFIG_SOCKET)
		p->config->socket_place = p->here;
	for (const struct key *k = s->keys; k->name; k++) {
		if (strcmp(k->name, name))
			continue;
		if (!k->set((char *)subject(p) + k->offset, value))
			return 0;
		return config_wrong(p, &p->here, "%s = \"%s\" cannot be: it is %s", name, value,
				    k->allowed);
	}
	return unknown_key(p, s, name);
}

/* ---- all together ---- */

static int check_servers(struct config_parser *p)
{
	const struct vgpu_config *c = p->config;
	const struct vgpu_config_place end = { .file = 0, .line = 1 };

	if (!c->nservers)
		return config_wrong(p, &end, "no server is named: [server NAME] with "
				    "address = HOST");
	for (unsigned i = 0; i < c->nservers; i++)
		if (!c->servers[i].address[0])
			return config_wrong(p, &c->servers[i].place,
					    "[server %s] has no address = HOST",
					    c->servers[i].name);
	return 0;
}

static int check_devices(struct config_parser *p)
{
	const struct vgpu_config *c = p->config;

	for (unsigned i = 0; i < c->ndevices; i++) {
		const struct vgpu_config_device *d = &c->devices[i];

		if (!d->gpu.server[0])
			return config_wrong(p, &d->place, "[device %u] has no server = NAME",
					    d->number);
		if (vgpu_config_find(c, d->gpu.server) < 0)
			return config_wrong(p, &d->place, "[device %u] is of server \"%s\", "
					    "and there is no [server %s]", d->number,
					    d->gpu.server, d->gpu.server);
	}
	return 0;
}

static int check_socket(struct config_parser *p)
{
	const struct vgpu_config *c = p->config;
	const struct vgpu_config_gpu *g = c->socket_gpus;

	for (unsigned i = 0; i < c->nsocket_gpus; i++) {
		if (vgpu_config_find(c, g[i].server) < 0)
			return config_wrong(p, &c->socket_place, "[socket] has a GPU of server "
					    "\"%s\", and there is no [server %s]", g[i].server,
					    g[i].server);
		if (strcmp(g[i].server, g[0].server))
			return config_wrong(p, &c->socket_place, "the GPUs of [socket] are of "
					    "\"%s\" and \"%s\": a program has one server",
					    g[0].server, g[i].server);
	}
	return 0;
}

int config_whole(struct config_parser *p)
{
	int err = check_servers(p);

	if (!err)
		err = check_devices(p);
	return err ? err : check_socket(p);
}
