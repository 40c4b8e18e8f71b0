/* SPDX-License-Identifier: MIT */
/* The bare network's connections, and TLS over one as OpenSSL does it (tls.c). */
#ifndef VGPU_BENCH_NET_H
#define VGPU_BENCH_NET_H

#include <stdbool.h>
#include <sys/types.h>

struct ssl_st;		/* OpenSSL's SSL */

struct wire {
	int		fd;
	struct ssl_st	*tls;	/* NULL: plain TCP */
};

/* TLS 1.3 over the connected @fd, with the handshake done; NULL: it failed. */
struct ssl_st *tls_open(int fd, bool server);
/* As read(2) and write(2) do it on a blocking descriptor. */
ssize_t tls_read(struct ssl_st *t, void *to, size_t n);
ssize_t tls_write(struct ssl_st *t, const void *from, size_t n);

#endif /* VGPU_BENCH_NET_H */
