/* SPDX-License-Identifier: MIT */
/*
 * The devices of a worker: in the order of a channel, one GPU as two of them, and
 * a primary context for each. The driver is the test's.
 */
#include <stdlib.h>
#include <unistd.h>
#include "fake_driver.h"
#include "server/worker.h"
#include "test.h"

#define UUID_A	"aaaaaaaa-0000-0000-0000-000000000001"
#define UUID_B	"bbbbbbbb-0000-0000-0000-000000000002"
#define CTX(n)	vgpu_handle_make(VGPU_KIND_CONTEXT, 1, n)

static struct vgpu_driver driver;

/* Not freed: a worker's parts live as long as the process. */
static struct {
	struct vgpu_worker	w;
	struct vgpu_channel	*app, *peer;
} workers[8];

static struct vgpu_worker *begin(void)
{
	const struct vgpu_ring_sizes sizes = VGPU_DEFAULT_SIZES;
	static unsigned n;
	struct vgpu_worker *w = &workers[n].w;

	fake_driver(&driver);
	fake.devices = 3;
	w->driver = &driver;
	if (vgpu_channel_pair(&workers[n].app, &workers[n].peer, &sizes) ||
	    vgpu_worker_start(w, workers[n].peer, NULL))
		exit(1);
	n++;
	return w;
}

/* The driver's number of device @ordinal, -1: none. */
static int driver_of(struct vgpu_worker *w, unsigned ordinal)
{
	CUdevice d;

	return vgpu_worker_device(w, ordinal, &d) ? -1 : d;
}

static const struct vgpu_device_info *info_of(struct vgpu_worker *w, int ordinal)
{
	static struct vgpu_device_info info;
	const struct vgpu_request q = {};

	memset(&info, 0, sizeof(info));
	CHECK_EQ(vgpu_hook_vgpu_device_info(w, &q, ordinal, &info), CUDA_SUCCESS);
	return &info;
}

static uint8_t first_byte_of_uuid(struct vgpu_worker *w, int ordinal)
{
	return info_of(w, ordinal)->uuid[0];
}

TEST(all_of_the_driver)
{
	struct vgpu_worker *w = begin();

	CHECK_EQ(vgpu_devices_find(w, NULL), CUDA_SUCCESS);
	CHECK_EQ(w->ndevices, 3);
	CHECK_EQ(driver_of(w, 2), FAKE_DEVICE + 2);
	CHECK_EQ(driver_of(w, 3), -1);
	CHECK_EQ(first_byte_of_uuid(w, 2), FAKE_DEVICE + 2);
	fake.devices = 0;
	CHECK_EQ(vgpu_devices_find(w, NULL), CUDA_ERROR_NO_DEVICE);
}

TEST(those_of_a_channel)
{
	struct vgpu_worker *w = begin();

	CHECK_EQ(vgpu_devices_find(w, "33=2:" UUID_B ",0=0:" UUID_A), CUDA_SUCCESS);
	CHECK_EQ(w->ndevices, 2);
	CHECK_EQ(driver_of(w, 0), FAKE_DEVICE + 2);
	CHECK_EQ(driver_of(w, 1), FAKE_DEVICE);
	CHECK_EQ(driver_of(w, 2), -1);
	CHECK_EQ(first_byte_of_uuid(w, 0), 0xbb);
	CHECK_EQ(first_byte_of_uuid(w, 1), 0xaa);
}

/* No two virtual GPUs are in one place, whatever they are behind. */
TEST(places_of_virtual_devices)
{
	const struct vgpu_device_info *info;
	struct vgpu_worker *w = begin();

	CHECK_EQ(vgpu_devices_find(w, NULL), CUDA_SUCCESS);
	CHECK(!strcmp(info_of(w, 0)->pci_bus_id, ""));
	CHECK_EQ(vgpu_devices_find(w, "1023=2:" UUID_B ",33=2:" UUID_A), CUDA_SUCCESS);
	CHECK(!strcmp(info_of(w, 0)->pci_bus_id, "7667:1f:1f.0"));
	info = info_of(w, 1);
	CHECK(!strcmp(info->pci_bus_id, "7667:01:01.0"));
	CHECK_EQ(info->attributes[CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID], 0x7667);
	CHECK_EQ(info->attributes[CU_DEVICE_ATTRIBUTE_PCI_BUS_ID], 1);
	CHECK_EQ(info->attributes[CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID], 1);
}

TEST(lists_that_cannot_be_served)
{
	struct vgpu_worker *w = begin();

	CHECK_EQ(vgpu_devices_find(w, "0=3:" UUID_A), CUDA_ERROR_INVALID_DEVICE);
	CHECK_EQ(vgpu_devices_find(w, "0"), CUDA_ERROR_INVALID_VALUE);
}

static CUresult retain(struct vgpu_worker *w, int ordinal)
{
	const struct vgpu_request q = {};

	return vgpu_hook_cuDevicePrimaryCtxRetain(w, &q, CTX(ordinal + 1), ordinal);
}

static bool comes_to(_Atomic int *count, int n)
{
	for (int i = 0; i < 500 && *count != n; i++)
		usleep(10000);
	return *count == n;
}

/* Releasing and resetting one leaves the other alone. */
TEST(twins_have_contexts_of_their_own)
{
	struct vgpu_worker *w = begin();
	const struct vgpu_request q = {};

	REQUIRE(!vgpu_devices_find(w, "0=1:" UUID_A ",1=1:" UUID_B ",2=0:" UUID_A));
	CHECK_EQ(first_byte_of_uuid(w, 0), 0xaa);
	CHECK_EQ(first_byte_of_uuid(w, 1), 0xbb);
	CHECK_EQ(retain(w, 0), CUDA_SUCCESS);
	CHECK_EQ(fake.retained, 1);
	CHECK_EQ(vgpu_hook_cuDevicePrimaryCtxSetFlags_v2(w, &q, 1, 4), CUDA_SUCCESS);
	CHECK_EQ(retain(w, 1), CUDA_SUCCESS);
	CHECK_EQ(fake.retained, 1);
	CHECK_EQ(fake.created, 1);
	CHECK_EQ(fake.created_flags, 4);
	CHECK_EQ(retain(w, 2), CUDA_SUCCESS);
	CHECK_EQ(fake.retained, 2);
	CHECK_EQ(vgpu_hook_cuDevicePrimaryCtxReset_v2(w, &q, 1), VGPU_STATUS_DEFERRED);
	CHECK(comes_to(&fake.ctx_destroyed, 1));
	CHECK_EQ(fake.ended, 0);
	CHECK_EQ(retain(w, 1), CUDA_SUCCESS);
	CHECK_EQ(fake.created, 2);
	CHECK_EQ(vgpu_hook_cuDevicePrimaryCtxRelease_v2(w, &q, 1), VGPU_STATUS_DEFERRED);
	CHECK(comes_to(&fake.ctx_destroyed, 2));
	CHECK_EQ(fake.released, 0);
	CHECK_EQ(vgpu_hook_cuDevicePrimaryCtxReset_v2(w, &q, 0), VGPU_STATUS_DEFERRED);
	CHECK(comes_to(&fake.released, 1));
	CHECK_EQ(fake.ended, 1);
	CHECK_EQ(fake.ctx_destroyed, 2);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
