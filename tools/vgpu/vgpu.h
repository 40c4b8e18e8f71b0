/* SPDX-License-Identifier: MIT */
/*
 * vgpu, the operator's command: what its files share. In the order of a run:
 *
 *	main.c		the commands there are
 *	options.c	what a command line asks for
 *	parse.c		the words people use for sizes and devices
 *	show.c		list, show
 *	daemons.h	what the daemons say: servers, sessions
 *	change.c	add, set, rm
 *	monitor.c	monitor
 *	text.c, json.c	devices and events for people and for programs
 *	table.c		tables for people
 *	find.c		which device is meant
 *	refusal.c	what went wrong and what to do about it
 */
#ifndef VGPU_TOOL_H
#define VGPU_TOOL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "nl/nl.h"

/* Exit codes. */
enum { DONE = 0, REFUSED = 1, USAGE = 2 };

/* ---- parse.c: 0; -EINVAL: no such thing; -ERANGE: too large ---- */

/* A device as people name it: vgpu0, /dev/vgpu0, 0, or its UUID. */
struct vgpu_target {
	const char	*text;		/* as it was typed */
	bool		by_uuid;
	uint32_t	number;
	uint8_t		uuid[VGPU_UUID_BYTES];
};

int vgpu_size_parse(const char *text, uint64_t *bytes);
int vgpu_number_parse(const char *text, uint32_t *number);
/* A UUID as vgpu_uuid_parse() takes it, or with "GPU-" before it. */
int vgpu_gpu_uuid_parse(const char *text, uint8_t uuid[VGPU_UUID_BYTES]);
int vgpu_target_parse(const char *text, struct vgpu_target *target);

/* ---- options.c ---- */

/* Options that a command may take. */
enum {
	OPTION_JSON	= 1 << 0,
	OPTION_PLACE	= 1 << 1,	/* --number, --uuid */
	OPTION_SETTING	= 1 << 2,	/* --name and the others */
	OPTION_DAEMONS	= 1 << 3,	/* --vgpud-status, --server-status */
};

struct vgpu_request {
	bool			json;
	const char		*vgpud_status;	/* paths; NULL: not given */
	const char		*server_status;
	struct vgpu_nl_device	want;		/* .has: what was given */
	struct vgpu_target	*targets;
	unsigned		ntargets;
};

/*
 * Read the words of a command, argv[0] being its name; those that are no option
 * are devices. What does not fit is explained on standard error: -EINVAL. Ask
 * for help is -ECANCELED. In any case to be followed by vgpu_request_free().
 */
int vgpu_request_parse(struct vgpu_request *r, int argc, char **argv, unsigned allowed);
void vgpu_request_free(struct vgpu_request *r);

/* ---- commands: they return an exit code ---- */

/* Make sure of the number of a device named by its UUID: DONE, or REFUSED and why. */
int vgpu_target_find(struct vgpu_nl *nl, struct vgpu_target *target);

/* These two do not ask the kernel: @nl is NULL. (sessions.c) */
int vgpu_servers(struct vgpu_nl *nl, const struct vgpu_request *r);
int vgpu_sessions(struct vgpu_nl *nl, const struct vgpu_request *r);
int vgpu_list(struct vgpu_nl *nl, const struct vgpu_request *r);
int vgpu_show(struct vgpu_nl *nl, const struct vgpu_request *r);
int vgpu_add(struct vgpu_nl *nl, const struct vgpu_request *r);
int vgpu_set(struct vgpu_nl *nl, const struct vgpu_request *r);
int vgpu_rm(struct vgpu_nl *nl, const struct vgpu_request *r);
int vgpu_monitor(struct vgpu_nl *nl, const struct vgpu_request *r);

/* ---- text.c ---- */

#define VGPU_SIZE_TEXT	16

/* "16G", "1.5M", "0B": tenths, rounded. Returns @text. */
const char *vgpu_size_format(uint64_t bytes, char text[VGPU_SIZE_TEXT]);

/* Room for what becomes of a string of @n bytes. */
#define VGPU_CLEAN_TEXT(n)	(3 * (n) + 1)

/*
 * @in as it may go to a terminal and into JSON: well-formed UTF-8 without
 * control characters, U+FFFD for each byte that is not. Returns @text.
 */
const char *vgpu_text_clean(const char *in, char *text, size_t size);

struct vgpu_daemons;
struct vgpu_lead;

int vgpu_devices_print(FILE *out, const struct vgpu_nl_device *devices, unsigned count,
		       const struct vgpu_daemons *daemons);
void vgpu_device_print(FILE *out, const struct vgpu_nl_device *d);
/* What is said of the server that it leads to. */
void vgpu_lead_print(FILE *out, const struct vgpu_lead *lead);
void vgpu_event_print(FILE *out, const struct vgpu_nl_event *e);

/* ---- table.c ---- */

struct vgpu_table;

/*
 * Columns by their heads; one that begins with '>' is aligned at the right. NULL:
 * no memory; vgpu_table_print() may be called then, too.
 */
struct vgpu_table *vgpu_table_open(const char *const *heads, unsigned n);
/* The next cell, row by row; an empty one becomes "-". */
void vgpu_table_cell(struct vgpu_table *t, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Print it and be done with it: 0 or -ENOMEM. */
int vgpu_table_print(FILE *out, struct vgpu_table *t);

/* ---- json.c: NULL if there is no memory ---- */

json_t *vgpu_devices_json(const struct vgpu_nl_device *devices, unsigned count,
			  const struct vgpu_daemons *daemons);
json_t *vgpu_device_json(const struct vgpu_nl_device *d, const struct vgpu_daemons *daemons);
json_t *vgpu_event_json(const struct vgpu_nl_event *e);

/* Print a document, which is freed: 0 or -errno. */
int vgpu_json_print(FILE *out, json_t *json, size_t flags);

/* ---- refusal.c: to standard error ---- */

void vgpu_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The module cannot be reached. Returns REFUSED. */
int vgpu_unreachable(int err);
/* @err came of the last request of @nl, which was to do @what. Returns REFUSED. */
int vgpu_refused(const struct vgpu_nl *nl, int err, const char *what);
/* A document was written, or -errno says why not: DONE, or REFUSED. */
int vgpu_written(int err);

#endif /* VGPU_TOOL_H */
