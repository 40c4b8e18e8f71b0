/* SPDX-License-Identifier: MIT */
/*
 * The files of the configuration, read by inih. Which keys there are, and what
 * may be their values, is in config_keys.c.
 */
#include <dirent.h>
#include <errno.h>
#include <ini.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "vgpud/config_keys.h"

static const struct vgpu_config defaults = {
	.socket = "/run/vgpu/server.sock", .status = "/run/vgpu/vgpud.status", .grace = 60,
	.key_bytes = 256ull << 30,	/* far less than AES-GCM allows: RFC 8446, section 5.5 */
	.sessions = 1024, .sessions_per_user = 1024, .ca = "/etc/vgpu/tls/ca.crt",
	.cert = "/etc/vgpu/tls/host.crt", .key = "/etc/vgpu/tls/host.key",
};

#define DEFAULT_CRL	"/etc/vgpu/tls/crl.pem"

int config_wrong(struct config_parser *p, const struct vgpu_config_place *at, const char *format,
		 ...)
{
	va_list args;
	int n = snprintf(p->why, p->room, "%s:%u: ", p->files[at->file], at->line);

	va_start(args, format);
	if (n >= 0 && (size_t)n < p->room)
		vsnprintf(p->why + n, p->room - n, format, args);
	va_end(args);
	p->failed = true;
	return -EINVAL;
}

/* ---- one file ---- */

/* A section begins, which inih does not tell of one that has no keys. */
static int take_section(struct config_parser *p, const char *line)
{
	const char *end = strchr(line, ']');
	char name[VGPU_CONFIG_TEXT];
	size_t length;

	if (!end)
		return config_wrong(p, &p->here, "a section is written [NAME]");
	length = end - ++line;
	while (length && strchr(" \t", line[length - 1]))
		length--;
	snprintf(name, sizeof(name), "%.*s", (int)length, line);
	end++;
	end += strspn(end, " \t\r\n");
	if (*end && *end != ';' && *end != '#')
		return config_wrong(p, &p->here, "there is something behind [%s]", name);
	return config_section(p, name);
}

/*
 * inih asks for lines here. It does not say which one a key was in, nor that
 * it took a long line for two. NULL ends it.
 */
static char *next_line(char *line, int room, void *stream)
{
	struct config_parser *p = stream;
	const char *text = line;
	size_t length;

	if (p->failed || !fgets(line, room, p->file))
		return NULL;
	p->here.line++;
	length = strlen(line);
	if (!length || (line[length - 1] != '\n' && !feof(p->file))) {
		config_wrong(p, &p->here, "a line is at most %d bytes of text long", room - 3);
		return NULL;
	}
	if (p->here.line == 1 && !strncmp(text, "\xef\xbb\xbf", 3))
		text += 3;
	text += strspn(text, " \t");
	return *text == '[' && take_section(p, text) ? NULL : line;
}

static int take_key(void *arg, const char *section, const char *name, const char *value)
{
	return !config_key(arg, name, value);
}

static int read_open(struct config_parser *p)
{
	int line;

	ini_allow_multiline = false;
	ini_stop_on_first_error = true;
	line = ini_parse_stream(next_line, p, take_key, p);
	if (!p->failed && ferror(p->file))
		config_wrong(p, &p->here, "%s", strerror(EIO));
	if (!p->failed && line)
		config_wrong(p, &p->here,
			     "this is neither [SECTION] nor KEY = VALUE nor # comment");
	return p->failed ? -EINVAL : 0;
}

static int remember_file(struct config_parser *p, const char *path)
{
	char **files = reallocarray(p->files, p->nfiles + 1, sizeof(*files));

	if (!files)
		return -ENOMEM;
	p->files = files;
	p->files[p->nfiles] = strdup(path);
	return p->files[p->nfiles++] ? 0 : -ENOMEM;
}

static int read_file(struct config_parser *p, const char *path)
{
	int err = remember_file(p, path);

	if (err)
		return err;
	p->here = (struct vgpu_config_place){ .file = p->nfiles - 1 };
	p->section = CONFIG_NONE;
	p->file = fopen(path, "re");
	if (!p->file) {
		err = -errno;
		snprintf(p->why, p->room, "%s: %s", path, strerror(errno));
		return err;
	}
	err = read_open(p);
	fclose(p->file);
	return err;
}

/* ---- all of them ---- */

static int is_dropin(const struct dirent *e)
{
	size_t length = strlen(e->d_name);

	return e->d_name[0] != '.' && length > 5 && !strcmp(e->d_name + length - 5, ".conf");
}

/* In the order of bytes, whatever the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_dropins(struct config_parser *p, const char *folder)
{
	struct dirent **names;
	int n = scandir(folder, &names, is_dropin, by_name), err = 0;
	char path[4096 + NAME_MAX + 2];

	if (n < 0) {
		if (errno == ENOENT)
			return 0;
		err = -errno;
		snprintf(p->why, p->room, "%s: %s", folder, strerror(errno));
		return err;
	}
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
		if (!err)
			err = read_file(p, path);
		free(names[i]);
	}
	free(names);
	return err;
}

static int read_all(struct config_parser *p, const char *path)
{
	char copy[4096], folder[4096];
	int err = read_file(p, path);

	if (err)
		return err;
	snprintf(copy, sizeof(copy), "%s", path);
	snprintf(folder, sizeof(folder), "%.4000s/conf.d", dirname(copy));
	err = read_dropins(p, folder);
	return err ? err : config_whole(p);
}

int vgpu_config_read(struct vgpu_config **out, const char *path, char *why, size_t room)
{
	struct config_parser p = { .why = why, .room = room };
	int err;

	snprintf(why, room, "%s", strerror(ENOMEM));
	p.config = malloc(sizeof(*p.config));
	if (!p.config)
		return -ENOMEM;
	*p.config = defaults;
	err = read_all(&p, path);
	for (unsigned i = 0; i < p.nfiles; i++)
		free(p.files[i]);
	free(p.files);
	if (err) {
		vgpu_config_free(p.config);
		return err;
	}
	if (!p.config->crl[0] && !access(DEFAULT_CRL, F_OK))
		strcpy(p.config->crl, DEFAULT_CRL);
	*out = p.config;
	return 0;
}

void vgpu_config_free(struct vgpu_config *c)
{
	if (c)
		free(c->devices);
	free(c);
}

enum vgpu_config_link vgpu_config_link(const struct vgpu_config *c, uint32_t number)
{
	for (unsigned i = 0; i < c->ndevices; i++)
		if (c->devices[i].number == number)
			return c->devices[i].link;
	return VGPU_LINK_AUTO;
}

int vgpu_config_find(const struct vgpu_config *c, const char *name)
{
	for (unsigned i = 0; i < c->nservers; i++)
		if (!strcmp(c->servers[i].name, name))
			return i;
	return -1;
}
