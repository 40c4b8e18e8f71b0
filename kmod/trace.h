/* SPDX-License-Identifier: GPL-2.0-only */
/* Tracepoints: what happens often, or should never. The module prints nothing. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vgpu

#if !defined(VGPU_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VGPU_TRACE_H

#include <linux/tracepoint.h>

#include "internal.h"

#define VGPU_SIDES	{ VGPU_APP, "app" }, { VGPU_PEER, "peer" }
#define VGPU_STATES						\
	{ VGPU_CHANNEL_WAITING, "waiting" },			\
	{ VGPU_CHANNEL_ACTIVE, "active" },			\
	{ VGPU_CHANNEL_FROZEN, "frozen" },			\
	{ VGPU_CHANNEL_LOST, "lost" }

TRACE_EVENT(vgpu_state,
	TP_PROTO(const struct vgpu_channel *channel, u32 state),
	TP_ARGS(channel, state),
	TP_STRUCT__entry(
		__field(u64, channel)
		__field(u32, from)
		__field(u32, to)
	),
	TP_fast_assign(
		__entry->channel = channel->id;
		__entry->from = channel->state;
		__entry->to = state;
	),
	TP_printk("channel=%llu %s -> %s", __entry->channel,
		  __print_symbolic(__entry->from, VGPU_STATES),
		  __print_symbolic(__entry->to, VGPU_STATES))
);

TRACE_EVENT(vgpu_bell,
	TP_PROTO(const struct vgpu_channel *channel, u32 side),
	TP_ARGS(channel, side),
	TP_STRUCT__entry(
		__field(u64, channel)
		__field(u64, bells)
		__field(u32, side)
	),
	TP_fast_assign(
		__entry->channel = channel->id;
		__entry->bells = atomic64_read(&channel->end[side].bells);
		__entry->side = side;
	),
	TP_printk("channel=%llu rung=%s bells=%llu", __entry->channel,
		  __print_symbolic(__entry->side, VGPU_SIDES), __entry->bells)
);

TRACE_EVENT(vgpu_wait,
	TP_PROTO(const struct vgpu_channel *channel, u32 side, u64 seen, int err),
	TP_ARGS(channel, side, seen, err),
	TP_STRUCT__entry(
		__field(u64, channel)
		__field(u64, seen)
		__field(u64, bells)
		__field(u32, side)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->channel = channel->id;
		__entry->seen = seen;
		__entry->bells = atomic64_read(&channel->end[side].bells);
		__entry->side = side;
		__entry->err = err;
	),
	TP_printk("channel=%llu side=%s seen=%llu bells=%llu err=%d", __entry->channel,
		  __print_symbolic(__entry->side, VGPU_SIDES), __entry->seen,
		  __entry->bells, __entry->err)
);

TRACE_EVENT(vgpu_hostmem,
	TP_PROTO(const struct vgpu_channel *channel, u64 handle, u64 size),
	TP_ARGS(channel, handle, size),
	TP_STRUCT__entry(
		__field(u64, channel)
		__field(u64, handle)
		__field(u64, size)
	),
	TP_fast_assign(
		__entry->channel = channel->id;
		__entry->handle = handle;
		__entry->size = size;
	),
	TP_printk("channel=%llu handle=%#llx size=%llu", __entry->channel,
		  __entry->handle, __entry->size)
);

TRACE_EVENT(vgpu_copy,
	TP_PROTO(const struct vgpu_channel *channel, const struct vgpu_ioc_copy *copy,
		 int err),
	TP_ARGS(channel, copy, err),
	TP_STRUCT__entry(
		__field(u64, channel)
		__field(u64, app)
		__field(u64, length)
		__field(u32, flags)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->channel = channel->id;
		__entry->app = copy->app;
		__entry->length = copy->length;
		__entry->flags = copy->flags;
		__entry->err = err;
	),
	TP_printk("channel=%llu %s app=%#llx length=%llu err=%d", __entry->channel,
		  __entry->flags & VGPU_COPY_TO_APP ? "to" : "from", __entry->app,
		  __entry->length, __entry->err)
);

#endif /* VGPU_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
