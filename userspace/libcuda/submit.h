/* SPDX-License-Identifier: MIT */
/*
 * Down to the worker and back: a call's record into sq, its completion out of
 * cq. The generated stubs (gen/client.c) stand on the first four functions.
 */
#ifndef LIBCUDA_SUBMIT_H
#define LIBCUDA_SUBMIT_H

#include "libcuda/session.h"

/* Room for a record of @length bytes; the lock of sq is held. NULL: lost. */
void *vgpu_submit_begin(struct vgpu_session *s, size_t length);

/* Commit it and return; errors of the call come later, as a notice. */
CUresult vgpu_submit_end(struct vgpu_session *s, uint64_t ctx, uint16_t opcode, unsigned flags);

/*
 * Commit it and wait for its completion, which is copied to @reply (@room
 * bytes, at least a struct vgpu_completion; *@length is what was copied).
 * The completion's status, or the error of a lost channel.
 */
CUresult vgpu_submit_wait(struct vgpu_session *s, uint64_t ctx, uint16_t opcode, unsigned flags,
			  void *reply, size_t room, size_t *length);

/* What a call returns when the channel is lost. */
CUresult vgpu_submit_lost(struct vgpu_session *s);

/* The same, for a reply that breaks the format: the channel is given up. */
CUresult vgpu_submit_broken(struct vgpu_session *s);

/* Handle what has arrived, if nobody else is at it. */
void vgpu_receive(struct vgpu_session *s);

/* Wait as vgpu_channel_wait() does, and receive meanwhile. */
int vgpu_receive_until(struct vgpu_session *s, bool (*ready)(void *arg), void *arg);

/* Where the bytes of a transfer go, as long as it is on the list. */
struct vgpu_transfer {
	uint64_t		id;
	uint8_t			*to;
	size_t			length;
	size_t			received;
	struct vgpu_transfer	*next;
};
void vgpu_transfer_add(struct vgpu_session *s, struct vgpu_transfer *t);
void vgpu_transfer_remove(struct vgpu_session *s, struct vgpu_transfer *t);

/*
 * Copy @length (1..VGPU_CHUNK_MAX) bytes to the up ring, waiting for room; the
 * upload lock is held by the caller until it has committed the record that
 * names *@pos. CUDA_SUCCESS or the error of a lost channel.
 */
CUresult vgpu_upload(struct vgpu_session *s, const void *bytes, size_t length, uint64_t *pos);

/* Is there room for that much in up, within that time? The upload lock is held. */
bool vgpu_upload_room(struct vgpu_session *s, size_t length, int ms);

#endif /* LIBCUDA_SUBMIT_H */
