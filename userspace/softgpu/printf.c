// SPDX-License-Identifier: MIT
/*
 * printf() of kernels. The format and its strings lie in memory of the device
 * and are copied before they are looked at; each conversion is handed to the
 * host's snprintf one at a time, rebuilt from what was understood.
 */
#include "softgpu/exec.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FORMAT	8192
#define MAX_WIDTH	4096
#define MAX_OUT		(64u << 10)

struct out {
	struct sg_warp		*w;
	const struct sg_insn	*in;
	unsigned		lane;
	uint64_t		args;
	uint64_t		off;		/* of the next argument */
	int32_t			count;
	size_t			len;
	char			buf[MAX_OUT];
};

struct conversion {
	char	flags[8];
	int	width, precision;		/* -1: none */
	bool	is_long;			/* 8 bytes */
	bool	is_short, is_char;
	char	letter;
};

/* One line of output is never torn, whoever prints. */
static pthread_mutex_t out_lock = PTHREAD_MUTEX_INITIALIZER;

bool sg_read_string(struct sg_warp *w, const struct sg_insn *in, unsigned lane, uint64_t addr,
		    char *to, size_t room)
{
	const void *p;
	uint64_t n = sg_access_room(w, in, lane, addr, &p), i;
	const char *s = p;

	if (!n)
		return sg_warp_fault(w, in, lane, CUDA_ERROR_ILLEGAL_ADDRESS, "string", addr);
	for (i = 0; i < room - 1 && i < n && s[i]; i++)
		to[i] = s[i];
	to[i] = '\0';
	if (i == n)
		return sg_warp_fault(w, in, lane, CUDA_ERROR_ILLEGAL_ADDRESS,
				     "string without an end", addr);
	return true;
}

static void put(struct out *o, const char *text, size_t n)
{
	if (n > sizeof(o->buf) - o->len)
		n = sizeof(o->buf) - o->len;
	memcpy(o->buf + o->len, text, n);
	o->len += n;
}

/* Arguments lie as a C struct would hold them. */
static bool next_arg(struct out *o, unsigned size, uint64_t *v)
{
	uint64_t at = (o->off + size - 1) & ~(uint64_t)(size - 1);
	const void *p = sg_access(o->w, o->in, o->lane, o->args + at, size);

	*v = 0;
	if (!p)
		return sg_warp_fault(o->w, o->in, o->lane, CUDA_ERROR_ILLEGAL_ADDRESS,
				     "argument of printf", o->args + at);
	memcpy(v, p, size);
	o->off = at + size;
	o->count++;
	return true;
}

static bool number(struct out *o, const char **f, int *v)
{
	uint64_t arg;

	if (**f == '*') {
		++*f;
		if (!next_arg(o, 4, &arg))
			return false;
		*v = (int32_t)arg;
	} else {
		for (*v = 0; **f >= '0' && **f <= '9'; ++*f)
			*v = *v > MAX_WIDTH ? *v : *v * 10 + (**f - '0');
	}
	*v = *v > MAX_WIDTH ? MAX_WIDTH : *v < -MAX_WIDTH ? -MAX_WIDTH : *v;
	return true;
}

static bool parse(struct out *o, const char **f, struct conversion *c)
{
	unsigned n = 0;

	*c = (struct conversion){ .width = -1, .precision = -1 };
	for (; **f && strchr("-+ #0", **f); ++*f)
		if (n < sizeof(c->flags) - 2 && !strchr(c->flags, **f))
			c->flags[n++] = **f;
	if ((**f == '*' || (**f >= '1' && **f <= '9')) && !number(o, f, &c->width))
		return false;
	if (**f == '.') {
		++*f;
		if (!number(o, f, &c->precision))
			return false;
	}
	for (; **f && strchr("hlLqjzt", **f); ++*f) {
		c->is_char |= **f == 'h' && c->is_short;
		c->is_short |= **f == 'h';
		c->is_long |= **f != 'h';
	}
	c->letter = **f;
	if (**f)
		++*f;
	return true;
}

/* A width from an argument may be negative: that is the flag '-'. */
static void spec(const struct conversion *c, const char *length, char *to, size_t room)
{
	char width[16] = "", precision[16] = "";
	int w = c->width;

	if (w != -1)
		snprintf(width, sizeof(width), "%s%d", w < 0 ? "-" : "", abs(w));
	if (c->precision >= 0)
		snprintf(precision, sizeof(precision), ".%d", c->precision);
	snprintf(to, room, "%%%s%s%s%s%c", c->flags, width, precision, length, c->letter);
}

#define EMIT(o, fmt, value)						\
	do {								\
		char text_[2 * MAX_WIDTH + 512];			\
		int n_ = snprintf(text_, sizeof(text_), fmt, value);	\
									\
		if (n_ > 0)						\
			put(o, text_, (size_t)n_ < sizeof(text_) ?	\
			    (size_t)n_ : sizeof(text_) - 1);		\
	} while (0)

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static bool put_integer(struct out *o, const struct conversion *c)
{
	bool is_signed = c->letter == 'd' || c->letter == 'i';
	uint64_t v;
	char fmt[64];

	if (!next_arg(o, c->is_long ? 8 : 4, &v))
		return false;
	spec(c, "ll", fmt, sizeof(fmt));
	if (is_signed && !c->is_long)
		v = (uint64_t)(int64_t)(int32_t)v;
	if (c->is_char)
		v = is_signed ? (uint64_t)(int8_t)v : (uint8_t)v;
	else if (c->is_short)
		v = is_signed ? (uint64_t)(int16_t)v : (uint16_t)v;
	EMIT(o, fmt, (unsigned long long)v);
	return true;
}

static bool put_other(struct out *o, const struct conversion *c)
{
	char fmt[64], text[MAX_FORMAT];
	uint64_t v;
	double d;

	spec(c, "", fmt, sizeof(fmt));
	if (c->letter == 'c') {
		if (!next_arg(o, 4, &v))
			return false;
		EMIT(o, fmt, (int)v);
		return true;
	}
	if (!next_arg(o, 8, &v))
		return false;
	if (c->letter == 's') {
		if (!v)
			strcpy(text, "(null)");
		else if (!sg_read_string(o->w, o->in, o->lane, v, text, sizeof(text)))
			return false;
		EMIT(o, fmt, text);
	} else if (c->letter == 'p') {
		EMIT(o, fmt, (void *)(uintptr_t)v);
	} else {
		memcpy(&d, &v, sizeof(d));
		EMIT(o, fmt, d);
	}
	return true;
}

#pragma GCC diagnostic pop

static bool format(struct out *o, const char *f)
{
	while (*f) {
		size_t plain = strcspn(f, "%");
		const char *start = f + plain;
		struct conversion c;

		put(o, f, plain);
		if (!*start)
			return true;
		f = start + 1;
		if (!parse(o, &f, &c))
			return false;
		if (c.letter == '%') {
			put(o, "%", 1);
		} else if (c.letter && strchr("diouxX", c.letter)) {
			if (!put_integer(o, &c))
				return false;
		} else if (c.letter && strchr("cspeEfFgGaA", c.letter)) {
			if (!put_other(o, &c))
				return false;
		} else {
			put(o, start, f - start);	/* not known: as it stands */
		}
	}
	return true;
}

bool sg_printf(struct sg_warp *w, const struct sg_insn *in, unsigned lane, uint64_t fmt,
	       uint64_t args, int32_t *result)
{
	struct sg_job *job = w->block->worker->job;
	char text[MAX_FORMAT];
	struct out *o;
	bool ok;

	*result = -1;
	if (!fmt)
		return true;
	if (!sg_read_string(w, in, lane, fmt, text, sizeof(text)))
		return false;
	o = malloc(sizeof(*o));
	if (!o)
		return true;
	o->w = w;
	o->in = in;
	o->lane = lane;
	o->args = args;
	o->off = o->count = o->len = 0;
	ok = format(o, text);
	if (ok) {
		*result = o->count;
		pthread_mutex_lock(&out_lock);
		fwrite(o->buf, 1, o->len, stdout);
		pthread_mutex_unlock(&out_lock);
		__atomic_store_n(&job->printed, true, __ATOMIC_RELAXED);
	}
	free(o);
	return ok;
}
