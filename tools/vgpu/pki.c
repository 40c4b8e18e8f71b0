/* SPDX-License-Identifier: MIT */
/*
 * vgpu pki: an authority for those who have none, and certificates for the hosts
 * of vgpud and vgpu-server. What its folder looks like is the affair of pki_store.c.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "pki.h"
#include "vgpu.h"

#define FOLDER		"/etc/vgpu/pki"
#define HOST_FOLDER	"/etc/vgpu/tls"
#define AUTHORITY_DAYS	3650
#define HOST_DAYS	825
#define MOST_DAYS	36500
#define ADDRESSES	32
#define DAY		86400

static const char usage[] =
	"usage: vgpu pki init [--days N] [DIR]\n"
	"       vgpu pki server NAME [--address ADDRESS]... [--days N] [DIR]\n"
	"       vgpu pki client NAME [--days N] [DIR]\n"
	"       vgpu pki revoke NAME [DIR]\n"
	"       vgpu pki list [-j] [DIR]\n"
	"\n"
	"DIR:     of the authority; " FOLDER " if it is not given\n"
	"ADDRESS: a name or an address that clients use, besides NAME\n";

struct order {
	const char	*path, *name;
	char		*addresses[ADDRESSES];
	unsigned int	naddresses;
	unsigned int	days;			/* 0: as many as is usual */
	bool		json;
};

enum { TAKES_NAME = 1, TAKES_DAYS = 2, TAKES_ADDRESSES = 4, TAKES_JSON = 8 };

/* ---- commands ---- */

static int init(const struct order *o)
{
	if (vgpu_pki_store_make(o->path, o->days ? o->days : AUTHORITY_DAYS))
		return REFUSED;
	printf("%s: a new authority; keep ca.key in it secret\n", o->path);
	return DONE;
}

static bool is_good(const struct vgpu_pki_entry *e)
{
	return e && !e->revoked && e->until > time(NULL);
}

static int issue(const struct order *o, bool server)
{
	struct vgpu_pki_wish wish = {
		.name = o->name, .server = server,
		.addresses = (char **)o->addresses, .naddresses = o->naddresses,
		.until = time(NULL) + (time_t)(o->days ? o->days : HOST_DAYS) * DAY,
	};
	struct vgpu_pki_store store;
	int err;

	if (vgpu_pki_store_open(&store, o->path, true))
		return REFUSED;
	if (is_good(vgpu_pki_store_find(&store, o->name))) {
		vgpu_complain("%s has a certificate: revoke it first (vgpu pki revoke %s), or "
			      "choose another name", o->name, o->name);
		err = -EEXIST;
	} else {
		err = vgpu_pki_store_issue(&store, &wish);
	}
	vgpu_pki_store_close(&store);
	if (err)
		return REFUSED;
	printf("%s/%s: copy what is in it to " HOST_FOLDER " of that host\n", o->path, o->name);
	return DONE;
}

static int server(const struct order *o)
{
	return issue(o, true);
}

static int client(const struct order *o)
{
	return issue(o, false);
}

static int revoke(const struct order *o)
{
	struct vgpu_pki_entry *entry;
	struct vgpu_pki_store store;
	int err;

	if (vgpu_pki_store_open(&store, o->path, true))
		return REFUSED;
	entry = vgpu_pki_store_find(&store, o->name);
	if (!entry)
		vgpu_complain("%s: no certificate of that name: see vgpu pki list", o->name);
	err = entry ? vgpu_pki_store_revoke(&store, entry) : -ENOENT;
	vgpu_pki_store_close(&store);
	if (err)
		return REFUSED;
	printf("%s/crl.pem: copy it to " HOST_FOLDER " of every host, and send the daemons "
	       "SIGHUP\n", o->path);
	return DONE;
}

/* ---- list ---- */

static const char *state(const struct vgpu_pki_entry *e)
{
	return e->revoked ? "revoked" : is_good(e) ? "valid" : "expired";
}

static const char *day(time_t when, char text[32])
{
	struct tm tm;

	if (!gmtime_r(&when, &tm) || !strftime(text, 32, "%Y-%m-%d", &tm))
		strcpy(text, "?");
	return text;
}

static void print(const struct vgpu_pki_entry *entries, unsigned int count)
{
	char serial[VGPU_PKI_SERIAL_TEXT], expires[32];

	printf("%-24s %-7s %-8s %-11s %s\n", "NAME", "KIND", "STATE", "EXPIRES", "SERIAL");
	for (unsigned int i = 0; i < count; i++) {
		vgpu_pki_serial_format(entries[i].serial, serial);
		printf("%-24s %-7s %-8s %-11s %s\n", entries[i].name,
		       entries[i].server ? "server" : "client", state(&entries[i]),
		       day(entries[i].until, expires), serial);
	}
}

static json_t *describe(const struct vgpu_pki_entry *entries, unsigned int count)
{
	json_t *all = json_array();
	char serial[VGPU_PKI_SERIAL_TEXT];

	for (unsigned int i = 0; i < count; i++) {
		const struct vgpu_pki_entry *e = &entries[i];

		vgpu_pki_serial_format(e->serial, serial);
		json_array_append_new(all, json_pack("{s:s,s:s,s:s,s:I,s:I,s:s}",
			"name", e->name, "kind", e->server ? "server" : "client",
			"state", state(e), "expires", (json_int_t)e->until,
			"revoked", (json_int_t)e->revoked, "serial", serial));
	}
	return json_pack("{s:o}", "certificates", all);
}

static int list(const struct order *o)
{
	struct vgpu_pki_store store;
	int err = 0;

	if (vgpu_pki_store_open(&store, o->path, false))
		return REFUSED;
	if (o->json)
		err = vgpu_json_print(stdout, describe(store.entries, store.count),
				      JSON_INDENT(2));
	else
		print(store.entries, store.count);
	vgpu_pki_store_close(&store);
	return err ? REFUSED : DONE;
}

/* ---- command line ---- */

static const struct command {
	const char	*name;
	unsigned int	takes;
	int		(*run)(const struct order *o);
} commands[] = {
	{ "init",   TAKES_DAYS, init },
	{ "server", TAKES_NAME | TAKES_DAYS | TAKES_ADDRESSES, server },
	{ "client", TAKES_NAME | TAKES_DAYS, client },
	{ "revoke", TAKES_NAME, revoke },
	{ "list",   TAKES_JSON, list },
};

static const struct command *find_command(const char *name)
{
	for (unsigned int i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int misuse(const char *what, const char *why)
{
	vgpu_complain("pki: %s: %s", what, why);
	return -EINVAL;
}

/* Names of hosts are made of what names in the index are. */
static int take_address(struct order *o, char *text)
{
	struct in6_addr address;

	if (o->naddresses == ADDRESSES)
		return misuse(text, "too many addresses");
	if (inet_pton(AF_INET, text, &address) != 1 && inet_pton(AF_INET6, text, &address) != 1 &&
	    !vgpu_pki_name_good(text))
		return misuse(text, "neither a host's name nor an address (without a port)");
	o->addresses[o->naddresses++] = text;
	return 0;
}

static int take_days(struct order *o, const char *text)
{
	uint32_t days;

	if (vgpu_number_parse(text, &days) || !days || days > MOST_DAYS)
		return misuse(text, "not a number of days from 1 to 36500");
	o->days = days;
	return 0;
}

static int take_option(struct order *o, int option, unsigned int takes)
{
	switch (option) {
	case 'h':
		return -ECANCELED;
	case 'j':
		o->json = true;
		return takes & TAKES_JSON ? 0 : misuse("--json", "only with list");
	case 'd':
		return takes & TAKES_DAYS ? take_days(o, optarg) :
			misuse("--days", "not with this command");
	case 'a':
		return takes & TAKES_ADDRESSES ? take_address(o, optarg) :
			misuse("--address", "only with server");
	}
	return -EINVAL;		/* getopt said why */
}

static int take_words(struct order *o, char **words, int count, unsigned int takes)
{
	if (takes & TAKES_NAME) {
		if (!count)
			return misuse("NAME", "which host?");
		if (!vgpu_pki_name_good(*words))
			return misuse(*words, "not a name: letters, digits, -, . and _");
		o->name = *words++;
		count--;
	}
	if (count > 1)
		return misuse(words[1], "one word too many");
	if (count)
		o->path = *words;
	return 0;
}

static int parse(struct order *o, int argc, char **argv, unsigned int takes)
{
	static const struct option options[] = {
		{ "address", required_argument, NULL, 'a' },
		{ "days", required_argument, NULL, 'd' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	int option, err = 0;

	optind = 0;
	while (!err && (option = getopt_long(argc, argv, "hj", options, NULL)) != -1)
		err = take_option(o, option, takes);
	return err ? err : take_words(o, argv + optind, argc - optind, takes);
}

int vgpu_pki(int argc, char **argv)
{
	const struct command *c = argc > 1 ? find_command(argv[1]) : NULL;
	struct order o = { .path = FOLDER };
	int err;

	if (!c) {
		bool asked = argc > 1 && (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") ||
					  !strcmp(argv[1], "-h"));

		fputs(usage, asked ? stdout : stderr);
		return asked ? DONE : USAGE;
	}
	argv[1] = (char *)"vgpu";	/* getopt's complaints begin with it */
	err = parse(&o, argc - 1, argv + 1, c->takes);
	if (err == -ECANCELED)
		fputs(usage, stdout);
	return !err ? c->run(&o) : err == -ECANCELED ? DONE : USAGE;
}
