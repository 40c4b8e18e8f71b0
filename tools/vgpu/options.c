/* SPDX-License-Identifier: MIT */
/* What a command line asks for. What the words of it mean is the affair of parse.c. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include "vgpu.h"

struct known {
	const char	*name;
	char		letter;		/* 0: has none */
	unsigned	gives;		/* an attribute, or a path; 0: it has no argument */
	unsigned	class;		/* 0: any command takes it */
};

/* What options give beside attributes. */
enum { VGPUD_STATUS = VGPU_ATTR_MAX + 1, SERVER_STATUS };

static const struct known known[] = {
	{ "help",	    'h', 0, 0 },
	{ "json",	    'j', 0, OPTION_JSON },
	{ "number",	    'n', VGPU_ATTR_DEVICE, OPTION_PLACE },
	{ "uuid",	    0, VGPU_ATTR_UUID, OPTION_PLACE },
	{ "name",	    0, VGPU_ATTR_NAME, OPTION_SETTING },
	{ "backend",	    0, VGPU_ATTR_BACKEND, OPTION_SETTING },
	{ "memory",	    0, VGPU_ATTR_MEMORY, OPTION_SETTING },
	{ "budget",	    0, VGPU_ATTR_BUDGET, OPTION_SETTING },
	{ "channel-budget", 0, VGPU_ATTR_CHANNEL_BUDGET, OPTION_SETTING },
	{ "vgpud-status",   0, VGPUD_STATUS, OPTION_DAEMONS },
	{ "server-status",  0, SERVER_STATUS, OPTION_DAEMONS },
};

#define KNOWN	(sizeof(known) / sizeof(*known))
/* What getopt calls an option that has no letter: this and what it gives. */
#define LONG	256

/* ---- values; they are complained about as "@option @value: ..." ---- */

static int wrong(const char *option, const char *value, const char *why)
{
	vgpu_complain("%s %s: %s", option, value, why);
	return -EINVAL;
}

static int take_size(const char *option, const char *value, uint64_t *bytes)
{
	switch (vgpu_size_parse(value, bytes)) {
	case 0:
		return 0;
	case -ERANGE:
		return wrong(option, value, "larger than there can be");
	}
	return wrong(option, value, "not a size: a number, and K, M, G, T, P or E behind it");
}

static int take_string(const char *option, const char *value, char *string, size_t room)
{
	if (strlen(value) >= room) {
		vgpu_complain("%s: longer than %zu bytes", option, room - 1);
		return -EINVAL;
	}
	strcpy(string, value);
	return 0;
}

static int take_number(const char *value, uint32_t *number)
{
	int err = vgpu_number_parse(value, number);

	if (err == -ERANGE || (!err && *number >= VGPU_MINORS)) {
		vgpu_complain("--number %s: numbers go from 0 to %d", value, VGPU_MINORS - 1);
		return -EINVAL;
	}
	return err ? wrong("--number", value, "not a number") : 0;
}

static int take_uuid(const char *value, uint8_t *uuid)
{
	return vgpu_gpu_uuid_parse(value, uuid) ? wrong("--uuid", value, "not a UUID") : 0;
}

/* ---- options ---- */

static int take_attribute(struct vgpu_nl_device *want, enum vgpu_attr attr, const char *value)
{
	want->has |= VGPU_NL_HAS(attr);
	switch (attr) {
	case VGPU_ATTR_DEVICE:
		return take_number(value, &want->number);
	case VGPU_ATTR_UUID:
		return take_uuid(value, want->uuid);
	case VGPU_ATTR_NAME:
		return take_string("--name", value, want->name, sizeof(want->name));
	case VGPU_ATTR_BACKEND:
		return take_string("--backend", value, want->backend, sizeof(want->backend));
	case VGPU_ATTR_MEMORY:
		return take_size("--memory", value, &want->memory);
	case VGPU_ATTR_BUDGET:
		return take_size("--budget", value, &want->budget);
	case VGPU_ATTR_CHANNEL_BUDGET:
		return take_size("--channel-budget", value, &want->channel_budget);
	default:
		return -EINVAL;
	}
}

static int take_option(struct vgpu_request *r, int option)
{
	switch (option) {
	case 'h':
		return -ECANCELED;
	case 'j':
		r->json = true;
		return 0;
	case 'n':
		return take_attribute(&r->want, VGPU_ATTR_DEVICE, optarg);
	case LONG + VGPUD_STATUS:
		r->vgpud_status = optarg;
		return 0;
	case LONG + SERVER_STATUS:
		r->server_status = optarg;
		return 0;
	case '?':
		return -EINVAL;		/* getopt said why */
	}
	return take_attribute(&r->want, option - LONG, optarg);
}

/* Tell getopt what is allowed: other options are unknown to this command. */
static void describe(unsigned allowed, struct option *options, char *letters)
{
	for (const struct known *k = known; k < known + KNOWN; k++) {
		if (k->class && !(k->class & allowed))
			continue;
		*options++ = (struct option){
			k->name, k->gives ? required_argument : no_argument, NULL,
			k->letter ? k->letter : LONG + (int)k->gives,
		};
		if (k->letter)
			*letters++ = k->letter;
		if (k->letter && k->gives)
			*letters++ = ':';
	}
	*options = (struct option){};
	*letters = '\0';
}

static int take_targets(struct vgpu_request *r, char **words, unsigned count)
{
	r->targets = calloc(count ? count : 1, sizeof(*r->targets));
	if (!r->targets) {
		vgpu_complain("%s", strerror(ENOMEM));
		return -EINVAL;
	}
	for (; r->ntargets < count; r->ntargets++)
		if (vgpu_target_parse(words[r->ntargets], &r->targets[r->ntargets])) {
			vgpu_complain("%s: not a device: a number, vgpuN, /dev/vgpuN or a UUID",
				      words[r->ntargets]);
			return -EINVAL;
		}
	return 0;
}

int vgpu_request_parse(struct vgpu_request *r, int argc, char **argv, unsigned allowed)
{
	struct option options[KNOWN + 1];
	char letters[2 * KNOWN + 1];
	int option, err = 0;

	memset(r, 0, sizeof(*r));
	describe(allowed, options, letters);
	optind = 0;
	while (!err && (option = getopt_long(argc, argv, letters, options, NULL)) != -1)
		err = take_option(r, option);
	return err ? err : take_targets(r, argv + optind, argc - optind);
}

void vgpu_request_free(struct vgpu_request *r)
{
	free(r->targets);
}
