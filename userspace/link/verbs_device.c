/* SPDX-License-Identifier: MIT */
/* The device of a stream by RDMA: finding it, a queue pair, and the other end's. */
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include "link/verbs_state.h"

#define TIMEOUT		14		/* 4.096 us << 14 = 67 ms for an acknowledgement */
#define RETRIES		7

int verbs_give_up(struct vgpu_verbs *v, const char *what, int err)
{
	if (!v->note[0])
		snprintf(v->note, sizeof(v->note), "%s: %s", what, strerror(err));
	return -err;
}

/* ---- the device ---- */

/* The address of this end as a GID: RoCE's are the addresses of the interface. */
static bool local_gid(int fd, union ibv_gid *gid)
{
	struct sockaddr_storage a;
	socklen_t n = sizeof(a);

	if (getsockname(fd, (struct sockaddr *)&a, &n))
		return false;
	memset(gid, 0, sizeof(*gid));
	if (a.ss_family == AF_INET6) {
		memcpy(gid->raw, &((struct sockaddr_in6 *)&a)->sin6_addr, 16);
	} else if (a.ss_family == AF_INET) {
		gid->raw[10] = gid->raw[11] = 0xff;
		memcpy(gid->raw + 12, &((struct sockaddr_in *)&a)->sin_addr, 4);
	} else {
		return false;
	}
	return true;
}

/* Has a port of @device that address? RoCE v2 rather than v1, which no router passes on. */
static bool find_port(struct vgpu_verbs *v, struct ibv_context *device, const union ibv_gid *gid)
{
	struct ibv_device_attr attr;
	struct ibv_gid_entry e;
	struct ibv_port_attr port;
	bool found = false;

	if (ibv_query_device(device, &attr))
		return false;
	for (unsigned p = 1; p <= attr.phys_port_cnt; p++) {
		if (ibv_query_port(device, p, &port) || port.state != IBV_PORT_ACTIVE)
			continue;
		for (int i = 0; i < port.gid_tbl_len && i < 256; i++) {
			if (ibv_query_gid_ex(device, p, i, &e, 0) ||
			    memcmp(&e.gid, gid, sizeof(*gid)) ||
			    (found && e.gid_type != IBV_GID_TYPE_ROCE_V2))
				continue;
			found = true;
			v->port = p;
			v->gid_index = i;
			v->gid = *gid;
			v->lid = port.lid;
			v->mtu = port.active_mtu;
		}
	}
	return found;
}

int verbs_open_device(struct vgpu_verbs *v, int fd)
{
	struct ibv_device **list;
	union ibv_gid gid;
	int n = 0;

	if (!local_gid(fd, &gid))
		return verbs_give_up(v, "no address that a verbs device could have", EAFNOSUPPORT);
	list = ibv_get_device_list(&n);
	for (int i = 0; list && i < n && !v->device; i++) {
		struct ibv_context *device = ibv_open_device(list[i]);

		if (device && find_port(v, device, &gid))
			v->device = device;
		else if (device)
			ibv_close_device(device);
	}
	if (list)
		ibv_free_device_list(list);
	if (v->device)
		return 0;
	return verbs_give_up(v, n ? "no verbs device has the address of this connection" :
			     "no verbs device", ENODEV);
}

static int register_pool(struct vgpu_verbs *v)
{
	void *pool = mmap(NULL, 2 * POOL_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pool == MAP_FAILED)
		return verbs_give_up(v, "memory for messages", errno);
	v->pool = pool;
	v->region = ibv_reg_mr(v->pd, pool, 2 * POOL_BYTES, IBV_ACCESS_LOCAL_WRITE);
	return v->region ? 0 : verbs_give_up(v, "registering 2 MiB (see `ulimit -l`)", errno);
}

static int make_queues(struct vgpu_verbs *v)
{
	struct ibv_qp_init_attr attr = {
		.qp_type = IBV_QPT_RC,
		.cap = { .max_send_wr = SLOTS, .max_recv_wr = SLOTS, .max_send_sge = 1,
			 .max_recv_sge = 1 },
	};

	v->pd = ibv_alloc_pd(v->device);
	v->events = v->pd ? ibv_create_comp_channel(v->device) : NULL;
	if (!v->events || fcntl(v->events->fd, F_SETFL, O_NONBLOCK))
		return verbs_give_up(v, "a completion channel", errno);
	v->receives = ibv_create_cq(v->device, SLOTS, &v->came_side, v->events, 0);
	v->sends = ibv_create_cq(v->device, SLOTS, &v->sent_side, v->events, 0);
	if (!v->receives || !v->sends)
		return verbs_give_up(v, "a completion queue", errno);
	attr.recv_cq = v->receives;
	attr.send_cq = v->sends;
	v->qp = ibv_create_qp(v->pd, &attr);
	return v->qp ? register_pool(v) : verbs_give_up(v, "a queue pair", errno);
}

int verbs_post_receive(struct vgpu_verbs *v, uint32_t slot)
{
	struct ibv_sge e = {
		.addr = (uintptr_t)v->pool + slot * SLOT_BYTES, .length = SLOT_BYTES,
		.lkey = v->region->lkey,
	};
	struct ibv_recv_wr wr = { .wr_id = slot, .sg_list = &e, .num_sge = 1 }, *bad;

	return ibv_post_recv(v->qp, &wr, &bad);
}

int verbs_make_pair(struct vgpu_verbs *v)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_INIT, .port_num = v->port };
	int err = make_queues(v);

	if (err)
		return err;
	err = ibv_modify_qp(v->qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
			    IBV_QP_ACCESS_FLAGS);
	for (uint32_t i = 0; i < SLOTS && !err; i++)
		err = verbs_post_receive(v, i);
	return err ? verbs_give_up(v, "preparing the queue pair", err) : 0;
}

/* ---- the other end ---- */

int verbs_connect(struct vgpu_verbs *v)
{
	const struct offer *o = &v->other;
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTR, .path_mtu = v->mtu < o->mtu ? v->mtu : o->mtu,
		.dest_qp_num = o->qpn, .rq_psn = o->psn, .min_rnr_timer = 12,
		.ah_attr = { .is_global = 1, .port_num = v->port, .dlid = o->lid,
			     .grh = { .sgid_index = v->gid_index, .hop_limit = 64 } },
	};
	int err;

	memcpy(attr.ah_attr.grh.dgid.raw, o->gid, 16);
	err = ibv_modify_qp(v->qp, &attr, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
			    IBV_QP_DEST_QPN | IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
			    IBV_QP_MIN_RNR_TIMER);
	if (err)
		return verbs_give_up(v, "a way to the other end's device", err);
	attr = (struct ibv_qp_attr){
		.qp_state = IBV_QPS_RTS, .timeout = TIMEOUT, .retry_cnt = RETRIES,
		.rnr_retry = 7, .sq_psn = v->psn,
	};
	err = ibv_modify_qp(v->qp, &attr, IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
			    IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC);
	return err ? verbs_give_up(v, "starting the queue pair", err) : 0;
}

const char *verbs_check_offer(const struct offer *o)
{
	static const uint32_t zero[5];

	if (o->magic != OFFER_MAGIC || o->version != OFFER_VERSION || o->usable > 1 ||
	    memcmp(o->reserved, zero, sizeof(zero)))
		return "the other side's offer of a queue pair is none";
	if (o->usable && (o->mtu < IBV_MTU_256 || o->mtu > IBV_MTU_4096 || o->qpn >= 1u << 24 ||
			  o->psn >= 1u << 24 || o->lid > 0xffff || o->slots != SLOTS ||
			  o->slot_bytes != SLOT_BYTES))
		return "the other side offers a queue pair that cannot be";
	return NULL;
}

void verbs_close_device(struct vgpu_verbs *v)
{
	if (v->qp)
		ibv_destroy_qp(v->qp);
	if (v->region)
		ibv_dereg_mr(v->region);
	if (v->pool)
		munmap(v->pool, 2 * POOL_BYTES);
	if (v->sends)
		ibv_destroy_cq(v->sends);
	if (v->receives)
		ibv_destroy_cq(v->receives);
	if (v->events)
		ibv_destroy_comp_channel(v->events);
	if (v->pd)
		ibv_dealloc_pd(v->pd);
	if (v->device)
		ibv_close_device(v->device);
}
