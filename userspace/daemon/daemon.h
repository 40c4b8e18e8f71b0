/* SPDX-License-Identifier: MIT */
/*
 * What vgpud and vgpu-server have in common: the log, a place for programs to
 * connect to, and a place for `vgpu` to ask how things are.
 */
#ifndef VGPU_DAEMON_DAEMON_H
#define VGPU_DAEMON_DAEMON_H

#include <jansson.h>
#include <sys/socket.h>

/* ---- log.c ---- */

/* Lines begin with @name, which must stay. */
void vgpu_log_as(const char *name);
/* From here on lines go to @fd. */
void vgpu_log_to(int fd);
/* One line, with the program's name; what is not printable is replaced. */
void vgpu_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- socket.c ---- */

/*
 * A unix socket (SOCK_SEQPACKET, non-blocking) that listens at @path, made for
 * this process alone: a lock beside it is held until the process ends. Any
 * local user may connect if this is root, else the own user. -errno; logged.
 */
int vgpu_socket_listen(const char *path);
/*
 * The same of another @type with @mode; the lock is held until *@lock is closed.
 */
int vgpu_socket_listen_at(const char *path, int type, mode_t mode, int *lock);
/*
 * A client and who it is: its descriptor, close-on-exec. -EAGAIN: there is none;
 * else this process is out of something, and the client waits.
 */
int vgpu_socket_accept(int fd, struct ucred *who);

/* ---- node.c ---- */

/*
 * The module's node at @path, /dev/vgpuctl, non-blocking, for this daemon alone: a
 * descriptor. If another has it, it may be about to end: for @busy_ms it is tried
 * again. -errno; logged.
 */
int vgpu_node_open(const char *path, int busy_ms);

/* ---- status.c ---- */

/*
 * Answers whoever connects to a unix socket (SOCK_STREAM) with a JSON document
 * and closes. For everybody on this host, so no secrets in it. Never blocks.
 * What is in it: Documentation/status.md.
 */
struct vgpu_status;

/* @describe makes the document, a new reference, or NULL. -errno; logged. */
int vgpu_status_open(struct vgpu_status **out, const char *path,
		     json_t *(*describe)(void *arg), void *arg);
/* Readable when there is something to do; then vgpu_status_step(). */
int vgpu_status_fd(const struct vgpu_status *s);
void vgpu_status_step(struct vgpu_status *s);
void vgpu_status_close(struct vgpu_status *s);

/* ---- notify.c ---- */

/*
 * Tell systemd(1), if it started us, how far we are ("READY=1" and the like):
 * sd_notify(3) without its library.
 */
void vgpu_daemon_notify(const char *state);

#endif /* VGPU_DAEMON_DAEMON_H */
