/* SPDX-License-Identifier: MIT */
/* How the server is, as a document for `vgpu`: Documentation/status.md. */
#include <stdio.h>
#include <string.h>
#include "server/serve.h"

#define PROGRAM_MAX	63

/* Names of programs and certificates may be anything. */
static json_t *text(const char *t)
{
	char clean[256];

	snprintf(clean, sizeof(clean), "%s", t);
	for (char *c = clean; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return json_string(clean);
}

/* The last part of a path, and no more of it than there is room for. */
static json_t *program(const char *path)
{
	const char *slash = strrchr(path, '/');
	char name[PROGRAM_MAX + 1];

	snprintf(name, sizeof(name), "%.*s", PROGRAM_MAX, slash ? slash + 1 : path);
	return text(strcmp(name, "?") ? name : "");
}

static json_t *session_id(const struct vgpu_remote_session *r)
{
	char hex[2 * VGPU_SESSION_ID + 1] = "";

	for (int i = 0; r && i < VGPU_SESSION_ID; i++)
		sprintf(hex + 2 * i, "%02x", r->id[i]);
	return json_string(hex);
}

/* A program that opened no device has all of them. */
static json_t *ordinals(const struct vgpu_server *s, const struct vgpu_session *p)
{
	unsigned n = p->gpus.count ?: s->probe.count;
	json_t *list = json_array();

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(list, json_integer(p->gpus.count ? p->gpus.gpus[i].ordinal :
							 i));
	return list;
}

static const char *state_of(const struct vgpu_session *p)
{
	switch (p->state) {
	case VGPU_SESSION_OPENING:
		return "opening";
	case VGPU_SESSION_RUNNING:
		return "running";
	default:
		return "lost";
	}
}

static json_t *session(const struct vgpu_server *s, const struct vgpu_session *p)
{
	const struct vgpu_remote_session *r = p->remote;

	return json_pack("{so so so sI sI so so ss ss sI sI}", "id", session_id(r),
			 "client", text(r ? r->client : ""),
			 "identity", text(r ? r->identity.name : ""),
			 "pid", (json_int_t)p->pid, "uid", (json_int_t)p->uid,
			 "program", program(p->program), "gpus", ordinals(s, p),
			 "link", !r ? "local" : r->plain ? "tcp" : "tls", "state", state_of(p),
			 "seconds", (json_int_t)((vgpu_now() - p->since) / 1000),
			 "worker", (json_int_t)p->worker);
}

static json_t *sessions(const struct vgpu_server *s)
{
	const struct vgpu_session *p;
	json_t *list = json_array();

	LIST_FOREACH(p, &s->sessions, link)
		if (!p->refusal)
			json_array_append_new(list, session(s, p));
	return list;
}

static json_t *gpus(const struct vgpu_server *s)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < s->probe.count; i++)
		json_array_append_new(list, json_pack("{sI so sI}", "ordinal", (json_int_t)i,
						      "name", text(s->probe.gpus[i].name),
						      "memory",
						      (json_int_t)s->probe.gpus[i].memory));
	return list;
}

static json_t *addresses(const struct vgpu_server *s)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < s->ndoors; i++)
		if (!s->doors[i].source)
			json_array_append_new(list, json_string(s->doors[i].name));
	return list;
}

json_t *vgpu_server_describe(void *server)
{
	const struct vgpu_server *s = server;

	return json_pack("{si ss so so so}", "version", 1, "daemon", "vgpu-server",
			 "listen", addresses(s), "gpus", gpus(s), "sessions", sessions(s));
}
