/* SPDX-License-Identifier: MIT */
/*
 * The little that generated code of both sides has in common: bytes and strings
 * behind the fixed part of a record. Writing goes to shared memory and never
 * reads it back; reading is of a private copy whose contents are hostile.
 */
#ifndef VGPU_MARSHAL_H
#define VGPU_MARSHAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define vgpu_pad8(n)	(((n) + 7) & ~(size_t)7)

/* ---- writing ---- */

/* Length of @s with its NUL. 0: @s is NULL, empty or longer than @max. */
static inline size_t vgpu_string_len(const char *s, size_t max)
{
	size_t n = s ? strnlen(s, max) : 0;

	return n && n < max ? n + 1 : 0;
}

/* Put @length bytes at @at, filled up with zeros; where the next ones go. */
static inline void *vgpu_put_bytes(void *at, const void *bytes, size_t length)
{
	uint8_t *to = at;

	if (length)
		memcpy(to, bytes, length);
	memset(to + length, 0, vgpu_pad8(length) - length);
	return to + vgpu_pad8(length);
}

/* ---- reading ---- */

struct vgpu_cursor {
	const uint8_t	*at;
	size_t		left;
};

/* What is behind the first @fixed of the @length bytes of a record; fixed <= length. */
static inline struct vgpu_cursor vgpu_cursor(const void *record, size_t fixed, size_t length)
{
	return (struct vgpu_cursor){ (const uint8_t *)record + fixed, length - fixed };
}

/* The next @n bytes. NULL: more than @max, more than is there, or fill that is not zero. */
static inline const void *vgpu_cursor_bytes(struct vgpu_cursor *c, size_t n, size_t max)
{
	const uint8_t *bytes = c->at;
	size_t padded = vgpu_pad8(n);

	if (n > max || padded > c->left)
		return NULL;
	for (size_t i = n; i < padded; i++)
		if (bytes[i])
			return NULL;
	c->at += padded;
	c->left -= padded;
	return bytes;
}

/* The next @n bytes as a string: not empty, and a NUL at the end and nowhere else. */
static inline const char *vgpu_cursor_string(struct vgpu_cursor *c, size_t n, size_t max)
{
	const char *s = vgpu_cursor_bytes(c, n, max);

	return s && n > 1 && strnlen(s, n) == n - 1 ? s : NULL;
}

/*
 * Copy the next @n bytes to @to, unless it is NULL: at most *@room, which becomes
 * how many. False as vgpu_cursor_bytes().
 */
static inline bool vgpu_cursor_copy(struct vgpu_cursor *c, size_t n, size_t max, void *to,
				    size_t *room)
{
	const void *bytes = vgpu_cursor_bytes(c, n, max);

	if (!bytes)
		return false;
	if (!to || !room)
		return true;
	if (*room > n)
		*room = n;
	memcpy(to, bytes, *room);
	return true;
}

/* Everything has been taken. */
static inline bool vgpu_cursor_done(const struct vgpu_cursor *c)
{
	return !c->left;
}

#endif /* VGPU_MARSHAL_H */
