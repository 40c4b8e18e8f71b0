/* SPDX-License-Identifier: MIT */
/*
 * A stream's bytes by RDMA: SEND from a registered pool into receives that the other
 * side has posted, on a reliable queue pair that belongs to this one connection. The
 * socket stays: over it, under TLS if there is TLS, the two ends tell each other
 * their queue pairs, prove them by a message each way, and fall back to it if that
 * fails; later it shows when the other side is gone.
 *
 * Works with every verbs device, those that cannot do RDMA WRITE as well: one
 * scatter-gather element, nothing inline, regions of 1 MiB. Shared by stream.c and
 * verbs.c only; what others may do is in stream.h.
 */
#ifndef VGPU_LINK_VERBS_H
#define VGPU_LINK_VERBS_H

#include "link/stream.h"

struct vgpu_verbs;

/* 0: it was settled which way the bytes go; -EAGAIN; else the stream's failure. */
int vgpu_verbs_handshake(struct vgpu_stream *s);
/* Was it settled that they go by RDMA? */
bool vgpu_verbs_live(const struct vgpu_verbs *v);
/* Or by the socket? */
bool vgpu_verbs_over(const struct vgpu_verbs *v);
/* Of the handshake and after it: readable when there is something to do. */
int vgpu_verbs_fd(const struct vgpu_verbs *v);
bool vgpu_verbs_has_room(const struct vgpu_verbs *v);
bool vgpu_verbs_pending(const struct vgpu_verbs *v);
ssize_t vgpu_verbs_read(struct vgpu_stream *s, void *to, size_t n);
ssize_t vgpu_verbs_write(struct vgpu_stream *s, const struct iovec *iov, int n);
/* What was sent arrives before this returns, if it does within 100 ms. */
void vgpu_verbs_close(struct vgpu_stream *s);

/* The stream's own socket, by TLS or plain (stream.c). */
ssize_t vgpu_stream_socket_read(struct vgpu_stream *s, void *to, size_t n);
ssize_t vgpu_stream_socket_write(struct vgpu_stream *s, const struct iovec *iov, int n);
int vgpu_stream_socket_handshake(struct vgpu_stream *s);

#endif /* VGPU_LINK_VERBS_H */
