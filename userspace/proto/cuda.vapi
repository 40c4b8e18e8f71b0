# SPDX-License-Identifier: MIT
#
# The one spec of the calls that libcuda and the worker exchange, and of every
# symbol that a libcuda.so.1 of ours exports. tools/vapigen makes of it: the
# record structs, the client's stubs, the worker's decoders, the driver table,
# the export list, the cuGetProcAddress table, the fuzz corpus, the API reference.
# Documentation/contributing.md explains how to add a call.
#
# A block is a head line, and lines indented by a tab.
#
#	call 0xNNN NAME		goes to the worker as record NNN; numbers are never reused
#	local NAME		answered by libcuda alone
#	stub NAME		exported; returns CUDA_ERROR_NOT_SUPPORTED and is counted
#
#	proc BASE since=V [pt=V:SUFFIX]	how cuGetProcAddress knows it; pt: its twin
#			with per-thread default stream, since V, exported as NAME_SUFFIX
#	flow sync|async|cached [words]	async: no reply is waited for; words:
#		block		the worker may wait in it: runs on a helper
#		noctx		needs no current context
#		internal	not a CUDA function: no public symbol
#		client=hook	the public function is written by hand (userspace/libcuda);
#				vgpu_call_NAME() is generated all the same
#		server=hook	vgpu_hook_NAME() of userspace/server does the work; else
#				the generated code calls the driver's NAME itself
#		quiet		does not hand out an earlier call's deferred error
#	in|out TYPE NAME [words]	one argument, in the order of the C prototype
#
# Types: i32 u32 u64 f32 size devptr device (ordinal, checked), enum C-TYPE,
# handle KIND (checked on both sides; `out handle KIND NAME` is a number that
# the client made and the worker is to use), bytes, string, struct TYPE,
# chunk (bytes in the up ring, at most VGPU_CHUNK_MAX).
# Words: min= max= mask= (what else is CUDA_ERROR_INVALID_VALUE), null (may be 0
# or NULL), max= of bytes and string bounds their length.

# ---- the session's own calls ----

call 0x001 vgpu_device_info
	flow sync noctx internal server=hook block
	in	device	dev
	out	struct vgpu_device_info	info

call 0x002 vgpu_image_put
	flow async noctx internal server=hook
	in	bytes	hash	max=32
	in	u64	total	min=1 max=0x40000000
	in	u64	offset	max=0x40000000
	in	chunk	data

call 0x003 vgpu_hostfn_done
	flow async noctx internal server=hook
	in	u64	token

# ---- contexts ----

call 0x010 cuDevicePrimaryCtxRetain
	proc	cuDevicePrimaryCtxRetain since=7000
	flow sync noctx client=hook server=hook block
	out	handle ctx	pctx
	in	device	dev

call 0x011 cuDevicePrimaryCtxRelease_v2
	proc	cuDevicePrimaryCtxRelease since=11000
	flow sync noctx client=hook server=hook block
	in	device	dev

call 0x012 cuDevicePrimaryCtxReset_v2
	proc	cuDevicePrimaryCtxReset since=11000
	flow sync noctx client=hook server=hook block
	in	device	dev

call 0x013 cuDevicePrimaryCtxSetFlags_v2
	proc	cuDevicePrimaryCtxSetFlags since=11000
	flow sync noctx client=hook
	in	device	dev
	in	u32	flags

call 0x014 cuCtxCreate_v2
	proc	cuCtxCreate since=3020
	flow sync noctx client=hook server=hook block
	out	handle ctx	pctx
	in	u32	flags
	in	device	dev

call 0x015 cuCtxDestroy_v2
	proc	cuCtxDestroy since=4000
	flow sync noctx client=hook server=hook block
	in	handle ctx	ctx

call 0x016 cuCtxSynchronize
	proc	cuCtxSynchronize since=2000
	flow sync block client=hook server=hook

call 0x017 cuCtxGetLimit
	proc	cuCtxGetLimit since=3010
	flow sync
	out	size	pvalue
	in	enum CUlimit	limit

call 0x018 cuCtxSetLimit
	proc	cuCtxSetLimit since=3010
	flow sync
	in	enum CUlimit	limit
	in	size	value

call 0x019 cuCtxSetCacheConfig
	proc	cuCtxSetCacheConfig since=3020
	flow async
	in	enum CUfunc_cache	config	max=3

call 0x01a cuCtxGetCacheConfig
	proc	cuCtxGetCacheConfig since=3020
	flow sync
	out	enum CUfunc_cache	pconfig

call 0x01b cuCtxSetSharedMemConfig
	proc	cuCtxSetSharedMemConfig since=4020
	flow async
	in	enum CUsharedconfig	config	max=2

call 0x01c cuCtxGetSharedMemConfig
	proc	cuCtxGetSharedMemConfig since=4020
	flow sync
	out	enum CUsharedconfig	pConfig

call 0x01d cuCtxResetPersistingL2Cache
	proc	cuCtxResetPersistingL2Cache since=11000
	flow sync

call 0x01e cuCtxEnablePeerAccess
	proc	cuCtxEnablePeerAccess since=4000
	flow sync
	in	handle ctx	peerContext
	in	u32	Flags	max=0

call 0x01f cuCtxDisablePeerAccess
	proc	cuCtxDisablePeerAccess since=4000
	flow sync
	in	handle ctx	peerContext

call 0x020 cuDeviceCanAccessPeer
	proc	cuDeviceCanAccessPeer since=4000
	flow sync noctx client=hook
	out	i32	canAccessPeer
	in	device	dev
	in	device	peerDev

call 0x021 cuDeviceGetP2PAttribute
	proc	cuDeviceGetP2PAttribute since=8000
	flow sync noctx client=hook
	out	i32	value
	in	enum CUdevice_P2PAttribute	attrib
	in	device	srcDevice
	in	device	dstDevice

call 0x022 cuProfilerStart
	proc	cuProfilerStart since=4000
	flow async

call 0x023 cuProfilerStop
	proc	cuProfilerStop since=4000
	flow async

# ---- memory ----

call 0x040 cuMemAlloc_v2
	proc	cuMemAlloc since=3020
	flow sync client=hook server=hook block
	out	devptr	dptr
	in	size	bytesize	min=1

call 0x041 cuMemFree_v2
	proc	cuMemFree since=3020
	flow sync client=hook server=hook block
	in	devptr	dptr

call 0x042 cuMemAllocPitch_v2
	proc	cuMemAllocPitch since=3020
	flow sync client=hook server=hook block
	out	devptr	dptr
	out	size	pPitch
	in	size	WidthInBytes	min=1
	in	size	Height	min=1
	in	u32	ElementSizeBytes

call 0x043 cuMemGetInfo_v2
	proc	cuMemGetInfo since=3020
	flow sync
	out	size	free
	out	size	total

# The client found the range of a new allocation taken in its own address
# space: the worker keeps the old one aside until another has been found.
call 0x044 vgpu_mem_clash
	flow sync internal server=hook block
	out	devptr	dptr
	in	devptr	clashing
	in	size	bytesize	min=1

call 0x048 cuMemHostAlloc
	proc	cuMemHostAlloc since=2020
	flow sync client=hook server=hook block
	in	u64	hostmem
	in	u64	address
	in	size	bytesize	min=1 max=0x10000000000
	in	u32	Flags	mask=7
	out	devptr	device

call 0x049 cuMemFreeHost
	proc	cuMemFreeHost since=2000
	flow sync noctx client=hook server=hook block
	in	u64	hostmem

call 0x04a cuMemHostRegister_v2
	proc	cuMemHostRegister since=6050
	flow sync client=hook server=hook
	in	u64	address	min=1
	in	size	bytesize	min=1
	in	u32	Flags	mask=0xf

# ---- copies; what an API call becomes is decided in userspace/libcuda/memcpy.c ----

# One chunk of host memory, copied to the up ring by the client.
call 0x060 vgpu_memcpy_up
	flow async internal server=hook
	in	devptr	dst
	in	handle stream	stream	null
	in	chunk	data

# Device memory to the client through the down ring, as VGPU_NOTICE_DATA; the
# completion follows the last of them.
call 0x061 vgpu_memcpy_down
	flow sync internal server=hook block
	in	devptr	src
	in	size	length	min=1
	in	u64	transfer
	in	handle stream	stream	null

# Page-locked memory that was allocated: in place, when the stream reaches it.
call 0x062 vgpu_memcpy_pinned
	flow async internal server=hook
	in	u32	way	max=1
	in	devptr	dev
	in	u64	hostmem
	in	u64	offset
	in	size	length	min=1
	in	handle stream	stream	null

# Page-locked memory that was registered: the app's own pages.
call 0x063 vgpu_memcpy_registered
	flow async internal server=hook
	in	u32	way	max=1
	in	devptr	dev
	in	u64	address
	in	size	length	min=1
	in	handle stream	stream	null

call 0x064 cuMemcpyDtoDAsync_v2
	proc	cuMemcpyDtoDAsync since=3020 pt=7000:ptsz
	flow async client=hook
	in	devptr	dstDevice
	in	devptr	srcDevice
	in	size	ByteCount	min=1
	in	handle stream	hStream	null

call 0x065 cuMemcpyPeerAsync
	proc	cuMemcpyPeerAsync since=4000 pt=7000:ptsz
	flow async client=hook
	in	devptr	dstDevice
	in	handle ctx	dstContext
	in	devptr	srcDevice
	in	handle ctx	srcContext
	in	size	ByteCount	min=1
	in	handle stream	hStream	null

call 0x068 cuMemsetD8Async
	proc	cuMemsetD8Async since=3020 pt=7000:ptsz
	flow async client=hook
	in	devptr	dstDevice
	in	u8	uc
	in	size	N
	in	handle stream	hStream	null

call 0x069 cuMemsetD16Async
	proc	cuMemsetD16Async since=3020 pt=7000:ptsz
	flow async client=hook
	in	devptr	dstDevice
	in	u16	us
	in	size	N
	in	handle stream	hStream	null

call 0x06a cuMemsetD32Async
	proc	cuMemsetD32Async since=3020 pt=7000:ptsz
	flow async client=hook
	in	devptr	dstDevice
	in	u32	ui
	in	size	N
	in	handle stream	hStream	null

call 0x06b cuMemsetD2D8Async
	proc	cuMemsetD2D8Async since=3020 pt=7000:ptsz
	flow async client=hook
	in	devptr	dstDevice
	in	size	dstPitch
	in	u8	uc
	in	size	Width
	in	size	Height
	in	handle stream	hStream	null

call 0x06c cuMemsetD2D16Async
	proc	cuMemsetD2D16Async since=3020 pt=7000:ptsz
	flow async client=hook
	in	devptr	dstDevice
	in	size	dstPitch
	in	u16	us
	in	size	Width
	in	size	Height
	in	handle stream	hStream	null

call 0x06d cuMemsetD2D32Async
	proc	cuMemsetD2D32Async since=3020 pt=7000:ptsz
	flow async client=hook
	in	devptr	dstDevice
	in	size	dstPitch
	in	u32	ui
	in	size	Width
	in	size	Height
	in	handle stream	hStream	null

# ---- streams and events ----

call 0x080 cuStreamCreateWithPriority
	proc	cuStreamCreateWithPriority since=5050
	flow async client=hook
	out	handle stream	phStream
	in	u32	flags	mask=1
	in	i32	priority

call 0x081 cuStreamDestroy_v2
	proc	cuStreamDestroy since=4000
	flow async client=hook server=hook
	in	handle stream	hStream

call 0x082 cuStreamSynchronize
	proc	cuStreamSynchronize since=2000 pt=7000:ptsz
	flow sync block server=hook
	in	handle stream	hStream	null

call 0x083 cuStreamQuery
	proc	cuStreamQuery since=2000 pt=7000:ptsz
	flow sync
	in	handle stream	hStream	null

call 0x084 cuStreamWaitEvent
	proc	cuStreamWaitEvent since=3020 pt=7000:ptsz
	flow async
	in	handle stream	hStream	null
	in	handle event	hEvent
	in	u32	Flags	mask=1

call 0x085 cuLaunchHostFunc
	proc	cuLaunchHostFunc since=10000 pt=10000:ptsz
	flow async client=hook server=hook
	in	handle stream	hStream	null
	in	u64	token

call 0x090 cuEventCreate
	proc	cuEventCreate since=2000
	flow async client=hook
	out	handle event	phEvent
	in	u32	Flags	mask=7

call 0x091 cuEventDestroy_v2
	proc	cuEventDestroy since=4000
	flow async client=hook server=hook
	in	handle event	hEvent

call 0x092 cuEventRecord
	proc	cuEventRecord since=2000 pt=7000:ptsz
	flow async
	in	handle event	hEvent
	in	handle stream	hStream	null

call 0x093 cuEventRecordWithFlags
	proc	cuEventRecordWithFlags since=11010 pt=11010:ptsz
	flow async
	in	handle event	hEvent
	in	handle stream	hStream	null
	in	u32	flags	mask=1

call 0x094 cuEventQuery
	proc	cuEventQuery since=2000
	flow sync
	in	handle event	hEvent

call 0x095 cuEventSynchronize
	proc	cuEventSynchronize since=2000
	flow sync block server=hook
	in	handle event	hEvent

call 0x096 cuEventElapsedTime
	proc	cuEventElapsedTime since=2000
	flow sync
	out	f32	pMilliseconds
	in	handle event	hStart
	in	handle event	hEnd

# ---- code ----

# An image is named by SHA-256; see VGPU_STATUS_NEED_IMAGE. What the JIT said
# comes back cut to what the client has room for.
call 0x0a0 cuModuleLoadDataEx
	proc	cuModuleLoadDataEx since=2010
	flow sync client=hook server=hook block
	out	handle module	module
	in	bytes	hash	max=32
	in	u64	length	min=1 max=0x40000000
	in	bytes	options	max=1024
	out	bytes	info_log	max=4096
	out	bytes	error_log	max=4096

call 0x0a1 cuModuleUnload
	proc	cuModuleUnload since=2000
	flow sync client=hook server=hook block
	in	handle module	hmod

call 0x0a2 cuModuleGetFunction
	proc	cuModuleGetFunction since=2000
	flow sync client=hook server=hook block
	out	handle function	hfunc
	in	handle module	hmod
	in	string	name	max=8192

call 0x0a3 cuModuleGetGlobal_v2
	proc	cuModuleGetGlobal since=3020
	flow sync client=hook block
	out	devptr	dptr
	out	size	bytes
	in	handle module	hmod
	in	string	name	max=8192

call 0x0a4 cuModuleGetFunctionCount
	proc	cuModuleGetFunctionCount since=12040
	flow sync block
	out	u32	count
	in	handle module	mod

# Function handles for the first functions of a module, in the driver's order:
# the numbers that the client made, used one after the other.
call 0x0a5 vgpu_module_functions
	flow sync internal server=hook block
	in	handle module	mod
	in	bytes	handles	max=8192
	out	u32	count

call 0x0a8 cuLibraryLoadData
	proc	cuLibraryLoadData since=12000
	flow sync noctx client=hook server=hook block
	out	handle library	library
	in	bytes	hash	max=32
	in	u64	length	min=1 max=0x40000000
	in	bytes	options	max=1024
	out	bytes	info_log	max=4096
	out	bytes	error_log	max=4096

call 0x0a9 cuLibraryUnload
	proc	cuLibraryUnload since=12000
	flow sync noctx client=hook server=hook block
	in	handle library	library

call 0x0aa cuLibraryGetKernel
	proc	cuLibraryGetKernel since=12000
	flow sync noctx client=hook server=hook block
	out	handle kernel	pKernel
	in	handle library	library
	in	string	name	max=8192

call 0x0ab cuLibraryGetGlobal
	proc	cuLibraryGetGlobal since=12000
	flow sync client=hook block
	out	devptr	dptr
	out	size	bytes
	in	handle library	library
	in	string	name	max=8192

call 0x0ac cuLibraryGetModule
	proc	cuLibraryGetModule since=12000
	flow sync client=hook server=hook block
	out	handle module	pMod
	in	handle library	library

call 0x0ad cuLibraryGetKernelCount
	proc	cuLibraryGetKernelCount since=12040
	flow sync noctx block
	out	u32	count
	in	handle library	lib

call 0x0ae vgpu_library_kernels
	flow sync noctx internal server=hook block
	in	handle library	lib
	in	bytes	handles	max=8192
	out	u32	count

call 0x0b0 cuKernelGetFunction
	proc	cuKernelGetFunction since=12000
	flow sync client=hook server=hook block
	out	handle function	pFunc
	in	handle kernel	kernel

# Name, attributes on a device and parameters of a function or kernel.
call 0x0b1 vgpu_function_info
	flow sync noctx internal server=hook block
	in	u64	function
	in	device	dev
	out	struct vgpu_function_info	info
	out	bytes	params	max=8192
	out	bytes	name	max=4096

call 0x0b2 cuFuncSetAttribute
	proc	cuFuncSetAttribute since=9000
	flow sync client=hook
	in	handle function	hfunc
	in	enum CUfunction_attribute	attrib
	in	i32	value

call 0x0b3 cuKernelSetAttribute
	proc	cuKernelSetAttribute since=12000
	flow sync noctx client=hook
	in	enum CUfunction_attribute	attrib
	in	i32	val
	in	handle kernel	kernel
	in	device	dev

call 0x0b4 cuFuncSetCacheConfig
	proc	cuFuncSetCacheConfig since=3000
	flow async
	in	handle function	hfunc
	in	enum CUfunc_cache	config	max=3

call 0x0b5 cuFuncSetSharedMemConfig
	proc	cuFuncSetSharedMemConfig since=4020
	flow async
	in	handle function	hfunc
	in	enum CUsharedconfig	config	max=2

call 0x0b6 cuKernelSetCacheConfig
	proc	cuKernelSetCacheConfig since=12000
	flow async noctx client=hook
	in	handle kernel	kernel
	in	enum CUfunc_cache	config	max=3
	in	device	dev

call 0x0b8 cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags
	proc	cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags since=7000
	flow sync
	out	i32	numBlocks
	in	handle function	func
	in	i32	blockSize
	in	size	dynamicSMemSize
	in	u32	flags	mask=1

call 0x0b9 cuOccupancyAvailableDynamicSMemPerBlock
	proc	cuOccupancyAvailableDynamicSMemPerBlock since=10020
	flow sync
	out	size	dynamicSmemSize
	in	handle function	func
	in	i32	numBlocks
	in	i32	blockSize

# ---- launches: all three functions of the API become this record ----

call 0x0c0 cuLaunchKernelEx
	proc	cuLaunchKernelEx since=11060 pt=11060:ptsz
	flow async client=hook server=hook
	in	u64	function
	in	handle stream	stream	null
	in	u32	gridX	min=1
	in	u32	gridY	min=1
	in	u32	gridZ	min=1
	in	u32	blockX	min=1
	in	u32	blockY	min=1
	in	u32	blockZ	min=1
	in	u32	shared
	in	u32	reserved	max=0
	in	bytes	attributes	max=1440
	in	bytes	params	max=32768
