/* SPDX-License-Identifier: MIT */
/*
 * Code images on disk, by hash, so that a program need not send them again. A
 * folder for each tenant, which its workers can write: what lies in it is hostile
 * and is hashed again when it is read.
 */
#ifndef VGPU_SERVER_CACHE_H
#define VGPU_SERVER_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define VGPU_HASH_BYTES	32

struct vgpu_cache;

/* Whose a folder is: that user's, or, if @shared, all users' who are in the group. */
struct vgpu_cache_owner {
	uid_t	uid;
	gid_t	gid;
	bool	shared;
};

/*
 * The cache of @tenant, a file name, in the folder @dir, which is made if it is
 * missing, with at most @limit bytes. Called with the right to make it @owner's.
 * -errno.
 */
int vgpu_cache_open(struct vgpu_cache **out, const char *dir, const char *tenant,
		    const struct vgpu_cache_owner *owner, uint64_t limit);
void vgpu_cache_close(struct vgpu_cache *c);

/*
 * The image of @length bytes, malloc'ed with a NUL behind it; it has been hashed.
 * -ENOENT: not there, or not what its name says (then it is removed).
 */
int vgpu_cache_load(struct vgpu_cache *c, const uint8_t *hash, uint64_t length, void **bytes);

/* Keep it; the files that were not used for longest make room. */
int vgpu_cache_store(struct vgpu_cache *c, const uint8_t *hash, const void *bytes,
		     uint64_t length);

/* SHA-256, of all of it. */
void vgpu_hash(const void *bytes, uint64_t length, uint8_t hash[VGPU_HASH_BYTES]);

#endif /* VGPU_SERVER_CACHE_H */
