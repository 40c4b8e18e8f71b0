/* SPDX-License-Identifier: MIT */
/* servers and sessions: what the daemons of this host say, and where a device leads. */
#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include "daemons.h"

/* ---- words ---- */

#define WORD	64

static const char *age(uint64_t seconds, char text[WORD])
{
	const uint64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24;

	if (days)
		snprintf(text, WORD, "%" PRIu64 "d%02uh", days, (unsigned)(hours % 24));
	else if (hours)
		snprintf(text, WORD, "%" PRIu64 "h%02um", hours, (unsigned)(minutes % 60));
	else if (minutes)
		snprintf(text, WORD, "%" PRIu64 "m%02us", minutes, (unsigned)(seconds % 60));
	else
		snprintf(text, WORD, "%" PRIu64 "s", seconds);
	return text;
}

static const char *microseconds(uint64_t us, char text[WORD])
{
	if (!us)
		text[0] = '\0';
	else if (us < 1000)
		snprintf(text, WORD, "%" PRIu64 "us", us);
	else
		snprintf(text, WORD, "%" PRIu64 ".%ums", us / 1000, (unsigned)(us % 1000 / 100));
	return text;
}

static const char *user(uint64_t uid, char text[WORD])
{
	const struct passwd *p = uid < UINT32_MAX ? getpwuid(uid) : NULL;

	if (p)
		snprintf(text, WORD, "%s", p->pw_name);
	else
		snprintf(text, WORD, "%" PRIu64, uid);
	return text;
}

static const char *numbers(const struct vgpu_numbers *n, char *text, size_t room)
{
	size_t used = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < n->count && used < room; i++)
		used += snprintf(text + used, room - used, "%s%" PRIu64, i ? "," : "",
				 n->values[i]);
	return text;
}

static bool is_among(uint64_t value, const struct vgpu_numbers *n)
{
	for (unsigned i = 0; i < n->count; i++)
		if (n->values[i] == value)
			return true;
	return false;
}

/* ---- where a device leads ---- */

/* "NAME:K" of a backend: length of the name, and K; 0: it is nothing of that kind. */
static size_t backend_split(const char *backend, uint32_t *gpu)
{
	const char *colon = strrchr(backend, ':');

	return colon && !vgpu_number_parse(colon + 1, gpu) ? colon - backend : 0;
}

static bool is_name(const char *name, const char *of, size_t length)
{
	return strlen(name) == length && !memcmp(name, of, length);
}

/* By the server of this host the device leads to GPU @gpu. */
static bool lead_here(const struct vgpu_daemons *d, const struct vgpu_nl_device *device,
		      uint32_t gpu, struct vgpu_lead *lead)
{
	if (!d->server)
		return false;
	strcpy(lead->far.name, "local");
	strcpy(lead->far.link, "local");
	strcpy(lead->far.state, device->state == VGPU_DEVICE_READY ? "up" : "down");
	for (unsigned i = 0; i < d->nserved; i++)
		lead->sessions += !strcmp(d->served[i].link, "local") &&
			is_among(gpu, &d->served[i].gpus);
	return true;
}

bool vgpu_daemons_lead(const struct vgpu_daemons *d, const struct vgpu_nl_device *device,
		       struct vgpu_lead *lead)
{
	uint32_t gpu;
	const size_t length = backend_split(device->backend, &gpu);

	*lead = (struct vgpu_lead){};
	if (length && is_name("local", device->backend, length))
		return lead_here(d, device, gpu, lead);
	for (unsigned i = 0; i < d->nfars; i++)
		if (length && is_name(d->fars[i].name, device->backend, length)) {
			lead->far = d->fars[i];
			for (unsigned k = 0; k < d->nnears; k++)
				lead->sessions += is_among(device->number, &d->nears[k].devices);
			return true;
		}
	return false;
}

/* ---- tables ---- */

static unsigned sessions_of(const struct vgpu_daemons *d, const char *server)
{
	unsigned count = 0;

	for (unsigned i = 0; i < d->nnears; i++)
		count += !strcmp(d->nears[i].server, server);
	return count;
}

int vgpu_servers_print(FILE *out, const struct vgpu_daemons *d)
{
	static const char *const heads[] = {
		"NAME", "ADDRESS", "STATE", "LINK", ">RTT",
		">SESSIONS", "ERROR",
	};
	struct vgpu_table *t = vgpu_table_open(heads, sizeof(heads) / sizeof(*heads));
	char text[WORD];

	for (unsigned i = 0; t && i < d->nfars; i++) {
		const struct vgpu_far *f = &d->fars[i];

		vgpu_table_cell(t, "%s", f->name);
		vgpu_table_cell(t, "%s", f->address);
		vgpu_table_cell(t, "%s", f->state);
		vgpu_table_cell(t, "%s", f->link);
		vgpu_table_cell(t, "%s", microseconds(f->rtt_us, text));
		vgpu_table_cell(t, "%u", sessions_of(d, f->name));
		vgpu_table_cell(t, "%s", f->error);
	}
	return vgpu_table_print(out, t);
}

static void near_session_add(struct vgpu_table *t, const struct vgpu_near_session *s)
{
	char text[WORD], size[VGPU_SIZE_TEXT], list[512];

	vgpu_table_cell(t, "%" PRIu64, s->pid);
	vgpu_table_cell(t, "%s", user(s->uid, text));
	vgpu_table_cell(t, "%s", s->program);
	vgpu_table_cell(t, "%s", numbers(&s->devices, list, sizeof(list)));
	vgpu_table_cell(t, "%s", s->server);
	vgpu_table_cell(t, "%s", s->state);
	vgpu_table_cell(t, "%s", s->link);
	vgpu_table_cell(t, "%s", vgpu_size_format(s->bytes_out, size));
	vgpu_table_cell(t, "%s", vgpu_size_format(s->bytes_in, size));
	vgpu_table_cell(t, "%s", age(s->seconds, text));
	vgpu_table_cell(t, "%.8s", s->id);
}

int vgpu_near_sessions_print(FILE *out, const struct vgpu_daemons *d)
{
	static const char *const heads[] = {
		">PID", "USER", "PROGRAM", "DEVICES", "SERVER",
		"STATE", "LINK", ">SENT", ">RECEIVED", ">AGE",
		"SESSION",
	};
	struct vgpu_table *t = vgpu_table_open(heads, sizeof(heads) / sizeof(*heads));

	for (unsigned i = 0; t && i < d->nnears; i++)
		near_session_add(t, &d->nears[i]);
	return vgpu_table_print(out, t);
}

static void far_session_add(struct vgpu_table *t, const struct vgpu_far_session *s)
{
	char text[WORD], list[512];

	vgpu_table_cell(t, "%s", s->client);
	vgpu_table_cell(t, "%s", s->identity);
	vgpu_table_cell(t, "%" PRIu64, s->pid);
	vgpu_table_cell(t, "%" PRIu64, s->uid);
	vgpu_table_cell(t, "%s", s->program);
	vgpu_table_cell(t, "%s", numbers(&s->gpus, list, sizeof(list)));
	vgpu_table_cell(t, "%s", s->state);
	vgpu_table_cell(t, "%s", s->link);
	vgpu_table_cell(t, "%" PRIu64, s->worker);
	vgpu_table_cell(t, "%s", age(s->seconds, text));
	vgpu_table_cell(t, "%.8s", s->id);
}

int vgpu_far_sessions_print(FILE *out, const struct vgpu_daemons *d)
{
	/* A user's number means nothing on this host, and its name could be another's. */
	static const char *const heads[] = {
		"CLIENT", "IDENTITY", ">PID", ">UID", "PROGRAM",
		"GPUS", "STATE", "LINK", ">WORKER", ">AGE",
		"SESSION",
	};
	struct vgpu_table *t = vgpu_table_open(heads, sizeof(heads) / sizeof(*heads));

	for (unsigned i = 0; t && i < d->nserved; i++)
		far_session_add(t, &d->served[i]);
	return vgpu_table_print(out, t);
}

/* ---- JSON ---- */

/* Give @object one more member; NULL: no memory. */
static json_t *with_count(json_t *object, const char *name, unsigned count)
{
	if (!object || !json_object_set_new(object, name, json_integer(count)))
		return object;
	json_decref(object);
	return NULL;
}

json_t *vgpu_lead_json(const struct vgpu_lead *lead)
{
	return with_count(vgpu_far_json(&lead->far), "sessions", lead->sessions);
}

/* Add @item to @array, which is gone if that fails. */
static json_t *with_item(json_t *array, json_t *item)
{
	if (!array) {
		json_decref(item);
		return NULL;
	}
	if (!json_array_append_new(array, item))
		return array;
	json_decref(array);
	return NULL;
}

static json_t *servers_json(const struct vgpu_daemons *d)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < d->nfars; i++)
		array = with_item(array, with_count(vgpu_far_json(&d->fars[i]), "sessions",
						    sessions_of(d, d->fars[i].name)));
	return array ? json_pack("{so}", "servers", array) : NULL;
}

/* Both lists; null for a daemon that is not there. */
static json_t *sessions_json(const struct vgpu_daemons *d)
{
	json_t *nears = d->vgpud ? json_array() : json_null();
	json_t *served = d->server ? json_array() : json_null();

	for (unsigned i = 0; i < d->nnears; i++)
		nears = with_item(nears, vgpu_near_session_json(&d->nears[i]));
	for (unsigned i = 0; i < d->nserved; i++)
		served = with_item(served, vgpu_far_session_json(&d->served[i]));
	return json_pack("{soso}", "sessions", nears, "served", served);
}

/* ---- commands ---- */

int vgpu_servers(struct vgpu_nl *nl, const struct vgpu_request *r)
{
	struct vgpu_daemons d = {};
	int err = vgpu_daemons_ask_vgpud(&d, r);

	if (err == -ENOENT)
		vgpu_complain("vgpud does not run on this host");
	if (err)
		return REFUSED;
	err = r->json ? vgpu_json_print(stdout, servers_json(&d), JSON_INDENT(2)) :
		vgpu_servers_print(stdout, &d);
	vgpu_daemons_free(&d);
	return vgpu_written(err);
}

/* One list below the other on a host that is both client and server. */
static int sessions_print(const struct vgpu_daemons *d)
{
	int err = d->vgpud ? vgpu_near_sessions_print(stdout, d) : 0;

	if (err || !d->server)
		return err;
	if (d->vgpud)
		putchar('\n');
	return vgpu_far_sessions_print(stdout, d);
}

int vgpu_sessions(struct vgpu_nl *nl, const struct vgpu_request *r)
{
	struct vgpu_daemons d = {};
	const int near = vgpu_daemons_ask_vgpud(&d, r), far = vgpu_daemons_ask_server(&d, r);
	int err = 0;

	if (near == -ENOENT && far == -ENOENT)
		vgpu_complain("neither vgpud nor vgpu-server runs on this host");
	if (d.vgpud || d.server)
		err = r->json ? vgpu_json_print(stdout, sessions_json(&d), JSON_INDENT(2)) :
			sessions_print(&d);
	vgpu_daemons_free(&d);
	/* What a daemon said that is there and makes no sense is missing. */
	if ((near && near != -ENOENT) || (far && far != -ENOENT) || (near && far))
		return REFUSED;
	return vgpu_written(err);
}
