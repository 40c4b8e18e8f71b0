/* SPDX-License-Identifier: MIT */
/* Catches what is written to a descriptor, to look at what the device printed. */
#ifndef E2E_CAPTURE_H
#define E2E_CAPTURE_H

#include "check.h"
#include <string>
#include <unistd.h>

struct capture {
	int fd, saved;
	FILE *file;
};

static inline capture capture_start(int fd)
{
	capture c = { fd, dup(fd), tmpfile() };

	fflush(NULL);
	EXPECT(c.saved >= 0 && c.file && dup2(fileno(c.file), fd) == fd);
	return c;
}

static inline std::string capture_end(capture *c)
{
	std::string text;
	int byte;

	fflush(NULL);
	EXPECT(dup2(c->saved, c->fd) == c->fd);
	close(c->saved);
	rewind(c->file);
	while ((byte = getc(c->file)) != EOF)
		text += (char)byte;
	fclose(c->file);
	return text;
}

#endif /* E2E_CAPTURE_H */
