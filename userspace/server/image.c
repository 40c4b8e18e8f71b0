/* SPDX-License-Identifier: MIT */
/*
 * Code images in memory. The client sends one in chunks, in order; it is put
 * together in private memory and hashed there, for the up ring can change under
 * the reader. What is loaded is kept, since a driver may read it as long as it is;
 * what is not makes room for others.
 */
#define OPENSSL_API_COMPAT 0x10100000L
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include "server/worker.h"
#include "cudafront/cudafront.h"
#include "server/cache.h"

#define IMAGES_BYTES	(4ull << 30)	/* of a session, all together */
#define IMAGES_UNUSED	(1ull << 30)	/* not loaded yet, or no longer */
#define IMAGES_UNDONE	8		/* not received in full */

struct vgpu_image {
	struct vgpu_image	*next;
	uint8_t			hash[VGPU_HASH_BYTES];
	uint64_t		length;
	uint64_t		got;
	uint8_t			*bytes;		/* a NUL is behind them */
	SHA256_CTX		sha;		/* of what was received */
	unsigned		refs;
	uint64_t		used;		/* turn of the last use */
	bool			checked, good, on_disk;
};

struct vgpu_images {
	pthread_mutex_t		lock;
	struct vgpu_image	*list;
	struct vgpu_cache	*cache;		/* or NULL */
	uint64_t		turns;
};

CUresult vgpu_images_start(struct vgpu_worker *w, struct vgpu_cache *cache)
{
	struct vgpu_images *s = calloc(1, sizeof(*s));

	if (!s)
		return CUDA_ERROR_OUT_OF_MEMORY;
	pthread_mutex_init(&s->lock, NULL);
	s->cache = cache;
	w->images = s;
	return CUDA_SUCCESS;
}

const void *vgpu_image_bytes(const struct vgpu_image *image)
{
	return image->bytes;
}

/* ---- the list; s->lock is held ---- */

static struct vgpu_image *find(struct vgpu_images *s, const uint8_t *hash)
{
	struct vgpu_image *i;

	for (i = s->list; i; i = i->next)
		if (!memcmp(i->hash, hash, sizeof(i->hash)))
			break;
	if (i)
		i->used = ++s->turns;
	return i;
}

static void drop(struct vgpu_images *s, struct vgpu_image *image)
{
	struct vgpu_image **p = &s->list;

	while (*p != image)
		p = &(*p)->next;
	*p = image->next;
	free(image->bytes);
	free(image);
}

static bool undone(const struct vgpu_image *i)
{
	return i->got < i->length;
}

/* Drop those that were not used for longest until the limits hold with @more bytes. */
static bool make_room(struct vgpu_images *s, uint64_t more)
{
	for (;;) {
		struct vgpu_image *oldest = NULL;
		uint64_t all = more, unused = 0;
		unsigned n = 0;

		for (struct vgpu_image *i = s->list; i; i = i->next) {
			all += i->length;
			n += undone(i);
			if (i->refs)
				continue;
			unused += undone(i) ? 0 : i->length;
			if (!oldest || i->used < oldest->used)
				oldest = i;
		}
		if (all <= IMAGES_BYTES && n <= IMAGES_UNDONE && unused <= IMAGES_UNUSED)
			return true;
		/* The one just received is about to be loaded. */
		if (!oldest || oldest->used == s->turns)
			return all <= IMAGES_BYTES;
		drop(s, oldest);
	}
}

static struct vgpu_image *add(struct vgpu_images *s, const uint8_t *hash, uint64_t length,
			      void *bytes)
{
	struct vgpu_image *i = calloc(1, sizeof(*i));

	if (!i || !make_room(s, length))
		goto fail;
	i->bytes = bytes ? bytes : malloc(length + 1);
	if (!i->bytes)
		goto fail;
	i->bytes[length] = 0;
	memcpy(i->hash, hash, sizeof(i->hash));
	i->length = length;
	i->got = bytes ? length : 0;
	i->used = ++s->turns;
	SHA256_Init(&i->sha);
	i->next = s->list;
	s->list = i;
	return i;
fail:
	free(i);
	return NULL;
}

/* ---- receiving ---- */

/* All of it is there: is it what it was said to be? */
static CUresult complete(struct vgpu_images *s, struct vgpu_image *i)
{
	uint8_t hash[VGPU_HASH_BYTES];

	SHA256_Final(hash, &i->sha);
	if (!memcmp(hash, i->hash, sizeof(hash)))
		return CUDA_SUCCESS;
	drop(s, i);
	return CUDA_ERROR_INVALID_IMAGE;
}

static CUresult receive(struct vgpu_images *s, const uint8_t *hash, uint64_t total,
			uint64_t offset, const void *bytes, uint32_t length)
{
	struct vgpu_image *i = find(s, hash);

	if (!i && !offset) {
		i = add(s, hash, total, NULL);
		if (!i)
			return CUDA_ERROR_OUT_OF_MEMORY;
	}
	if (!i || i->length != total || offset > i->got)
		return CUDA_ERROR_INVALID_VALUE;
	/* Two threads of the client may send the same image. */
	if (offset < i->got)
		return CUDA_SUCCESS;
	if (length > total - offset)
		return CUDA_ERROR_INVALID_VALUE;
	memcpy(i->bytes + offset, bytes, length);
	SHA256_Update(&i->sha, i->bytes + offset, length);
	i->got += length;
	return undone(i) ? CUDA_SUCCESS : complete(s, i);
}

CUresult vgpu_hook_vgpu_image_put(struct vgpu_worker *w, const struct vgpu_request *q,
				  const void *hash, uint32_t hash_len, uint64_t total,
				  uint64_t offset, const struct vgpu_chunk *data)
{
	const void *bytes = vgpu_up_chunk(w, data);
	CUresult r = CUDA_ERROR_INVALID_VALUE;

	if (!bytes)
		return r;
	if (hash_len == VGPU_HASH_BYTES) {
		pthread_mutex_lock(&w->images->lock);
		r = receive(w->images, hash, total, offset, bytes, data->length);
		pthread_mutex_unlock(&w->images->lock);
	}
	vgpu_up_used(w, data);
	return r;
}

/* ---- using ---- */

static struct vgpu_image *hold(struct vgpu_images *s, const uint8_t *hash, uint64_t length)
{
	struct vgpu_image *i;

	pthread_mutex_lock(&s->lock);
	i = find(s, hash);
	if (i && (undone(i) || i->length != length))
		i = NULL;
	if (i)
		i->refs++;
	pthread_mutex_unlock(&s->lock);
	return i;
}

static struct vgpu_image *from_disk(struct vgpu_images *s, const uint8_t *hash, uint64_t length)
{
	struct vgpu_image *i;
	void *bytes;

	if (!s->cache || vgpu_cache_load(s->cache, hash, length, &bytes))
		return NULL;
	pthread_mutex_lock(&s->lock);
	/* One of that name is on its way, or here by now; the name says it is the same. */
	i = find(s, hash);
	if (i && i->length == length && undone(i)) {
		drop(s, i);
		i = NULL;
	}
	if (!i) {
		i = add(s, hash, length, bytes);
		bytes = i ? NULL : bytes;
	}
	if (i && i->length != length)
		i = NULL;
	if (i) {
		i->refs++;
		i->on_disk = true;
	}
	pthread_mutex_unlock(&s->lock);
	free(bytes);
	return i;
}

/* Well-formed? Looked at once; and what is, is worth keeping. */
static bool good(struct vgpu_images *s, struct vgpu_image *i, bool store)
{
	bool checked, is_good, stored = false;

	pthread_mutex_lock(&s->lock);
	checked = i->checked;
	is_good = i->good;
	pthread_mutex_unlock(&s->lock);
	if (checked)
		return is_good;
	switch (cudafront_image_check(i->bytes, i->length)) {
	case CUDAFRONT_IMAGE_FATBIN:
	case CUDAFRONT_IMAGE_ELF:
	case CUDAFRONT_IMAGE_PTX:
		is_good = true;
		break;
	default:
		/* A wrapper holds a pointer of the client's: not an image here. */
		is_good = false;
	}
	if (is_good && store && s->cache)
		stored = !vgpu_cache_store(s->cache, i->hash, i->bytes, i->length);
	pthread_mutex_lock(&s->lock);
	i->checked = true;
	i->good = is_good;
	i->on_disk |= stored;
	pthread_mutex_unlock(&s->lock);
	return is_good;
}

CUresult vgpu_image_get(struct vgpu_worker *w, const uint8_t *hash, uint64_t length,
			struct vgpu_image **image)
{
	struct vgpu_image *i = hold(w->images, hash, length);
	bool sent = i;

	if (!i)
		i = from_disk(w->images, hash, length);
	if (!i)
		return (CUresult)VGPU_STATUS_NEED_IMAGE;
	if (!good(w->images, i, sent)) {
		vgpu_image_put(w, i);
		return CUDA_ERROR_INVALID_IMAGE;
	}
	*image = i;
	return CUDA_SUCCESS;
}

void vgpu_image_put(struct vgpu_worker *w, struct vgpu_image *image)
{
	pthread_mutex_lock(&w->images->lock);
	if (!--image->refs && (image->on_disk || !image->good))
		drop(w->images, image);
	else
		make_room(w->images, 0);
	pthread_mutex_unlock(&w->images->lock);
}
