# SPDX-License-Identifier: MIT
#
# The one spec of the calls that libcuda and the worker exchange, and of every
# symbol that a libcuda.so.1 of ours exports. tools/vapigen makes of it: the
# record structs, the client's stubs, the worker's decoders, the driver table,
# the export list, the cuGetProcAddress table, the fuzz corpus, the API reference.
# Documentation/contributing.md explains how to add a call.
#
# A block is a head line, and lines indented by one tab.
#
#	call 0xNNN NAME		goes to the worker as record NNN; numbers are never reused
#	local NAME		answered by libcuda alone
#	stub NAME		exported; returns CUDA_ERROR_NOT_SUPPORTED and is counted
#	driver NAME [optional]	what the worker's hooks need of the driver beneath,
#				besides the calls; optional: may be missing there
#
#	proc BASE since=V [pt=V:SUFFIX]	how cuGetProcAddress knows it; pt: its twin
#			with per-thread default stream, since V, exported as NAME_SUFFIX
#	flow sync|async|cached [words]	async: no reply is waited for; cached: as sync,
#			and libcuda remembers the answer; words:
#		block		the worker may wait in it: runs on a helper
#		noctx		needs no current context
#		internal	not a CUDA function: no public symbol
#		client=hook	the public function is written by hand (userspace/libcuda);
#				vgpu_call_NAME() is generated all the same
#		server=hook	vgpu_hook_NAME() of userspace/server does the work; else
#				the generated code calls the driver's NAME itself
#	args C-ARGUMENTS	of the C function, where they are not those of the record;
#			a twin that has no CUstream among them is written by hand
#	in|out TYPE NAME [words]	one argument, in the order of the C prototype
#
# Types: i32 u8 u16 u32 u64 f32 size devptr device (ordinal, checked), enum C-TYPE,
# handle KIND (checked on both sides; `out handle KIND NAME` is a number that
# the client made and the worker is to use), bytes, string, struct TYPE,
# chunk (bytes in the up ring, at most VGPU_CHUNK_MAX).
# Words: min= max= mask= (what else is CUDA_ERROR_INVALID_VALUE), null (may be 0
# or NULL); max= of bytes and strings bounds their length (a string's NUL counts).

# ---- the session's own calls ----

call 0x001 vgpu_device_info
	flow sync noctx internal server=hook block
	in	device	dev
	out	struct vgpu_device_info	info

call 0x002 vgpu_image_put
	flow async noctx internal server=hook
	in	bytes	hash	min=32 max=32
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
	flow sync noctx client=hook server=hook
	in	device	dev
	in	u32	flags	mask=0x9f

call 0x014 cuCtxCreate_v2
	proc	cuCtxCreate since=3020
	flow sync noctx client=hook server=hook block
	out	handle ctx	pctx
	in	u32	flags	mask=0x9f
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

# ---- copies; what an API call becomes is decided in userspace/libcuda/copy.c ----

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
	in	u32	way	max=2
	in	devptr	dev
	in	u64	hostmem
	in	u64	offset
	in	size	length	min=1
	in	handle stream	stream	null

# Page-locked memory that was registered: the app's own pages.
call 0x063 vgpu_memcpy_registered
	flow async internal server=hook
	in	u32	way	max=2
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
	flow sync block client=hook server=hook
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
	args	CUstream hStream, CUhostFn fn, void *userData
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
	in	bytes	hash	min=32 max=32
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
	in	bytes	hash	min=32 max=32
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
	args	const CUlaunchConfig *config, CUfunction f, void **kernelParams, void **extra
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

# ---- what the worker's hooks need of the driver beneath, besides the calls ----

driver cuInit
driver cuDriverGetVersion
driver cuDeviceGet
driver cuDeviceGetCount
driver cuDeviceGetName
driver cuDeviceGetUuid_v2
driver cuDeviceTotalMem_v2
driver cuDeviceGetAttribute
driver cuDeviceGetPCIBusId
driver cuCtxSetCurrent
driver cuCtxGetCurrent
driver cuCtxGetStreamPriorityRange
driver cuCtxPushCurrent_v2
driver cuCtxPopCurrent_v2
driver cuMemHostUnregister
driver cuMemHostGetDevicePointer_v2
driver cuMemcpyHtoDAsync_v2
driver cuMemcpyDtoHAsync_v2
driver cuMemcpyHtoD_v2
driver cuMemcpyDtoH_v2
driver cuMemGetAddressRange_v2
driver cuStreamCreate
driver cuLaunchKernel
driver cuFuncGetAttribute
driver cuFuncGetParamInfo
driver cuFuncGetName
driver cuKernelGetAttribute
driver cuKernelGetParamInfo
driver cuKernelGetName
driver cuLibraryEnumerateKernels
driver cuModuleEnumerateFunctions
driver cuGetErrorName
driver cuGetErrorString
driver cuThreadExchangeStreamCaptureMode
driver cuStreamIsCapturing
driver cuStreamGetCaptureInfo_v2
driver cuDevicePrimaryCtxGetState
driver cuCtxGetDevice
driver cuFuncGetModule
driver cuStreamAddCallback
driver cuLaunchCooperativeKernel
driver cuPointerGetAttribute

# ---- answered by libcuda alone, or made of the calls above by it: written by hand ----

local cuInit
	proc	cuInit since=2000
local cuDriverGetVersion
	proc	cuDriverGetVersion since=2020
local cuGetErrorName
	proc	cuGetErrorName since=6000
local cuGetErrorString
	proc	cuGetErrorString since=6000
local cuGetProcAddress
	proc	cuGetProcAddress since=11030
local cuGetProcAddress_v2
	proc	cuGetProcAddress since=12000
local cuGetExportTable
	proc	cuGetExportTable since=3000

local cuDeviceGet
	proc	cuDeviceGet since=2000
local cuDeviceGetCount
	proc	cuDeviceGetCount since=2000
local cuDeviceGetName
	proc	cuDeviceGetName since=2000
local cuDeviceGetUuid
	proc	cuDeviceGetUuid since=9020
local cuDeviceGetUuid_v2
	proc	cuDeviceGetUuid since=11040
local cuDeviceTotalMem_v2
	proc	cuDeviceTotalMem since=3020
local cuDeviceGetAttribute
	proc	cuDeviceGetAttribute since=2000
local cuDeviceGetPCIBusId
	proc	cuDeviceGetPCIBusId since=4010
local cuDeviceGetByPCIBusId
	proc	cuDeviceGetByPCIBusId since=4010
local cuDeviceComputeCapability
	proc	cuDeviceComputeCapability since=2000
local cuDeviceGetProperties
	proc	cuDeviceGetProperties since=2000

local cuDevicePrimaryCtxGetState
	proc	cuDevicePrimaryCtxGetState since=7000
local cuDevicePrimaryCtxRelease
	proc	cuDevicePrimaryCtxRelease since=7000
local cuDevicePrimaryCtxReset
	proc	cuDevicePrimaryCtxReset since=7000
local cuDevicePrimaryCtxSetFlags
	proc	cuDevicePrimaryCtxSetFlags since=7000

local cuCtxGetCurrent
	proc	cuCtxGetCurrent since=4000
local cuCtxSetCurrent
	proc	cuCtxSetCurrent since=4000
local cuCtxPushCurrent_v2
	proc	cuCtxPushCurrent since=4000
local cuCtxPopCurrent_v2
	proc	cuCtxPopCurrent since=4000
local cuCtxPushCurrent
	proc	cuCtxPushCurrent since=2000
local cuCtxPopCurrent
	proc	cuCtxPopCurrent since=2000
local cuCtxGetDevice
	proc	cuCtxGetDevice since=2000
local cuCtxGetDevice_v2
	proc	cuCtxGetDevice since=13000
local cuCtxGetApiVersion
	proc	cuCtxGetApiVersion since=3020
local cuCtxGetFlags
	proc	cuCtxGetFlags since=7000
local cuCtxSetFlags
	proc	cuCtxSetFlags since=12010
local cuCtxGetId
	proc	cuCtxGetId since=12000
local cuCtxGetStreamPriorityRange
	proc	cuCtxGetStreamPriorityRange since=5050
local cuCtxSynchronize_v2
	proc	cuCtxSynchronize since=13000
local cuCtxCreate_v3
	proc	cuCtxCreate since=11040
local cuCtxCreate_v4
	proc	cuCtxCreate since=12050

local cuModuleGetLoadingMode
	proc	cuModuleGetLoadingMode since=11070
local cuModuleLoad
	proc	cuModuleLoad since=2000
local cuModuleLoadData
	proc	cuModuleLoadData since=2000
local cuModuleLoadFatBinary
	proc	cuModuleLoadFatBinary since=2000
local cuModuleEnumerateFunctions
	proc	cuModuleEnumerateFunctions since=12040
local cuLibraryLoadFromFile
	proc	cuLibraryLoadFromFile since=12000
local cuLibraryEnumerateKernels
	proc	cuLibraryEnumerateKernels since=12040

local cuKernelGetAttribute
	proc	cuKernelGetAttribute since=12000
local cuKernelGetName
	proc	cuKernelGetName since=12030
local cuKernelGetParamInfo
	proc	cuKernelGetParamInfo since=12040
local cuKernelGetLibrary
	proc	cuKernelGetLibrary since=12050
local cuFuncGetAttribute
	proc	cuFuncGetAttribute since=2020
local cuFuncGetName
	proc	cuFuncGetName since=12030
local cuFuncGetParamInfo
	proc	cuFuncGetParamInfo since=12040
local cuFuncGetModule
	proc	cuFuncGetModule since=11000
local cuFuncIsLoaded
	proc	cuFuncIsLoaded since=12040
local cuFuncLoad
	proc	cuFuncLoad since=12040

local cuLaunchKernel
	proc	cuLaunchKernel since=4000 pt=7000:ptsz
local cuLaunchCooperativeKernel
	proc	cuLaunchCooperativeKernel since=9000 pt=9000:ptsz

local cuMemcpyHtoD_v2
	proc	cuMemcpyHtoD since=3020 pt=7000:ptds
local cuMemcpyDtoH_v2
	proc	cuMemcpyDtoH since=3020 pt=7000:ptds
local cuMemcpyDtoD_v2
	proc	cuMemcpyDtoD since=3020 pt=7000:ptds
local cuMemcpy
	proc	cuMemcpy since=4000 pt=7000:ptds
local cuMemcpyPeer
	proc	cuMemcpyPeer since=4000 pt=7000:ptds
local cuMemcpyHtoDAsync_v2
	proc	cuMemcpyHtoDAsync since=3020 pt=7000:ptsz
local cuMemcpyDtoHAsync_v2
	proc	cuMemcpyDtoHAsync since=3020 pt=7000:ptsz
local cuMemcpyAsync
	proc	cuMemcpyAsync since=4000 pt=7000:ptsz

local cuMemsetD8_v2
	proc	cuMemsetD8 since=3020 pt=7000:ptds
local cuMemsetD16_v2
	proc	cuMemsetD16 since=3020 pt=7000:ptds
local cuMemsetD32_v2
	proc	cuMemsetD32 since=3020 pt=7000:ptds
local cuMemsetD2D8_v2
	proc	cuMemsetD2D8 since=3020 pt=7000:ptds
local cuMemsetD2D16_v2
	proc	cuMemsetD2D16 since=3020 pt=7000:ptds
local cuMemsetD2D32_v2
	proc	cuMemsetD2D32 since=3020 pt=7000:ptds

local cuMemHostGetDevicePointer_v2
	proc	cuMemHostGetDevicePointer since=3020
local cuMemHostGetFlags
	proc	cuMemHostGetFlags since=2030
local cuMemHostUnregister
	proc	cuMemHostUnregister since=4000
local cuMemAllocHost_v2
	proc	cuMemAllocHost since=3020
local cuMemGetAddressRange_v2
	proc	cuMemGetAddressRange since=3020
local cuPointerGetAttribute
	proc	cuPointerGetAttribute since=4000
local cuPointerGetAttributes
	proc	cuPointerGetAttributes since=7000

local cuStreamCreate
	proc	cuStreamCreate since=2000
local cuStreamGetFlags
	proc	cuStreamGetFlags since=5050 pt=7000:ptsz
local cuStreamGetPriority
	proc	cuStreamGetPriority since=5050 pt=7000:ptsz
local cuStreamGetCtx
	proc	cuStreamGetCtx since=9020 pt=9020:ptsz
local cuStreamGetId
	proc	cuStreamGetId since=12000 pt=12000:ptsz
local cuStreamGetDevice
	proc	cuStreamGetDevice since=12080 pt=12080:ptsz
local cuStreamIsCapturing
	proc	cuStreamIsCapturing since=10000 pt=10000:ptsz
local cuStreamGetCaptureInfo
	proc	cuStreamGetCaptureInfo since=10010 pt=10010:ptsz
local cuStreamGetCaptureInfo_v2
	proc	cuStreamGetCaptureInfo since=11030 pt=11030:ptsz
local cuStreamGetCaptureInfo_v3
	proc	cuStreamGetCaptureInfo since=12030 pt=12030:ptsz
local cuStreamAddCallback
	proc	cuStreamAddCallback since=5000 pt=7000:ptsz
local cuThreadExchangeStreamCaptureMode
	proc	cuThreadExchangeStreamCaptureMode since=10010
local cuEventElapsedTime_v2
	proc	cuEventElapsedTime since=12080

local cuOccupancyMaxActiveBlocksPerMultiprocessor
	proc	cuOccupancyMaxActiveBlocksPerMultiprocessor since=6050
local cuOccupancyMaxPotentialBlockSize
	proc	cuOccupancyMaxPotentialBlockSize since=6050
local cuOccupancyMaxPotentialBlockSizeWithFlags
	proc	cuOccupancyMaxPotentialBlockSizeWithFlags since=7000
local cuProfilerInitialize
	proc	cuProfilerInitialize since=4000

# ---- exported, and refused: programs ask for them all, few call them ----

stub cuArray3DCreate
	proc	cuArray3DCreate since=2000
stub cuArray3DCreate_v2
	proc	cuArray3DCreate since=3020
stub cuArray3DGetDescriptor
	proc	cuArray3DGetDescriptor since=2000
stub cuArray3DGetDescriptor_v2
	proc	cuArray3DGetDescriptor since=3020
stub cuArrayCreate
	proc	cuArrayCreate since=2000
stub cuArrayCreate_v2
	proc	cuArrayCreate since=3020
stub cuArrayDestroy
	proc	cuArrayDestroy since=2000
stub cuArrayGetDescriptor
	proc	cuArrayGetDescriptor since=2000
stub cuArrayGetDescriptor_v2
	proc	cuArrayGetDescriptor since=3020
stub cuArrayGetMemoryRequirements
	proc	cuArrayGetMemoryRequirements since=11060
stub cuArrayGetPlane
	proc	cuArrayGetPlane since=11020
stub cuArrayGetSparseProperties
	proc	cuArrayGetSparseProperties since=11010
stub cuCheckpointProcessCheckpoint
	proc	cuCheckpointProcessCheckpoint since=12080
stub cuCheckpointProcessGetRestoreThreadId
	proc	cuCheckpointProcessGetRestoreThreadId since=12080
stub cuCheckpointProcessGetState
	proc	cuCheckpointProcessGetState since=12080
stub cuCheckpointProcessLock
	proc	cuCheckpointProcessLock since=12080
stub cuCheckpointProcessRestore
	proc	cuCheckpointProcessRestore since=12080
stub cuCheckpointProcessUnlock
	proc	cuCheckpointProcessUnlock since=12080
stub cuCoredumpGetAttribute
	proc	cuCoredumpGetAttribute since=12010
stub cuCoredumpGetAttributeGlobal
	proc	cuCoredumpGetAttributeGlobal since=12010
stub cuCoredumpSetAttribute
	proc	cuCoredumpSetAttribute since=12010
stub cuCoredumpSetAttributeGlobal
	proc	cuCoredumpSetAttributeGlobal since=12010
local cuCtxAttach
	proc	cuCtxAttach since=2000
stub cuCtxCreate
	proc	cuCtxCreate since=2000
stub cuCtxDestroy
	proc	cuCtxDestroy since=2000
local cuCtxDetach
	proc	cuCtxDetach since=2000
stub cuCtxFromGreenCtx
	proc	cuCtxFromGreenCtx since=12040
stub cuCtxGetDevResource
	proc	cuCtxGetDevResource since=12040
stub cuCtxGetExecAffinity
	proc	cuCtxGetExecAffinity since=11040
stub cuCtxRecordEvent
	proc	cuCtxRecordEvent since=12050
stub cuCtxWaitEvent
	proc	cuCtxWaitEvent since=12050
stub cuDestroyExternalMemory
	proc	cuDestroyExternalMemory since=10000
stub cuDestroyExternalSemaphore
	proc	cuDestroyExternalSemaphore since=10000
stub cuDevResourceGenerateDesc
	proc	cuDevResourceGenerateDesc since=12040
stub cuDevSmResourceSplitByCount
	proc	cuDevSmResourceSplitByCount since=12040
stub cuDeviceGetDefaultMemPool
	proc	cuDeviceGetDefaultMemPool since=11020
stub cuDeviceGetDevResource
	proc	cuDeviceGetDevResource since=12040
stub cuDeviceGetExecAffinitySupport
	proc	cuDeviceGetExecAffinitySupport since=11040
stub cuDeviceGetGraphMemAttribute
	proc	cuDeviceGetGraphMemAttribute since=11040
stub cuDeviceGetHostAtomicCapabilities
	proc	cuDeviceGetHostAtomicCapabilities since=13000
stub cuDeviceGetLuid
	proc	cuDeviceGetLuid since=10000
stub cuDeviceGetMemPool
	proc	cuDeviceGetMemPool since=11020
stub cuDeviceGetNvSciSyncAttributes
	proc	cuDeviceGetNvSciSyncAttributes since=10020
stub cuDeviceGetP2PAtomicCapabilities
	proc	cuDeviceGetP2PAtomicCapabilities since=13000
stub cuDeviceGetTexture1DLinearMaxWidth
	proc	cuDeviceGetTexture1DLinearMaxWidth since=11010
stub cuDeviceGraphMemTrim
	proc	cuDeviceGraphMemTrim since=11040
stub cuDeviceRegisterAsyncNotification
	proc	cuDeviceRegisterAsyncNotification since=12040
stub cuDeviceSetGraphMemAttribute
	proc	cuDeviceSetGraphMemAttribute since=11040
stub cuDeviceSetMemPool
	proc	cuDeviceSetMemPool since=11020
stub cuDeviceTotalMem
	proc	cuDeviceTotalMem since=2000
stub cuDeviceUnregisterAsyncNotification
	proc	cuDeviceUnregisterAsyncNotification since=12040
stub cuEventDestroy
	proc	cuEventDestroy since=2000
stub cuExternalMemoryGetMappedBuffer
	proc	cuExternalMemoryGetMappedBuffer since=10000
stub cuExternalMemoryGetMappedMipmappedArray
	proc	cuExternalMemoryGetMappedMipmappedArray since=10000
stub cuFlushGPUDirectRDMAWrites
	proc	cuFlushGPUDirectRDMAWrites since=11030
stub cuFuncSetBlockShape
	proc	cuFuncSetBlockShape since=2000
stub cuFuncSetSharedSize
	proc	cuFuncSetSharedSize since=2000
stub cuGraphAddBatchMemOpNode
	proc	cuGraphAddBatchMemOpNode since=11070
stub cuGraphAddChildGraphNode
	proc	cuGraphAddChildGraphNode since=10000
stub cuGraphAddDependencies
	proc	cuGraphAddDependencies since=10000
stub cuGraphAddDependencies_v2
	proc	cuGraphAddDependencies since=12030
stub cuGraphAddEmptyNode
	proc	cuGraphAddEmptyNode since=10000
stub cuGraphAddEventRecordNode
	proc	cuGraphAddEventRecordNode since=11010
stub cuGraphAddEventWaitNode
	proc	cuGraphAddEventWaitNode since=11010
stub cuGraphAddExternalSemaphoresSignalNode
	proc	cuGraphAddExternalSemaphoresSignalNode since=11020
stub cuGraphAddExternalSemaphoresWaitNode
	proc	cuGraphAddExternalSemaphoresWaitNode since=11020
stub cuGraphAddHostNode
	proc	cuGraphAddHostNode since=10000
stub cuGraphAddKernelNode
	proc	cuGraphAddKernelNode since=10000
stub cuGraphAddKernelNode_v2
	proc	cuGraphAddKernelNode since=12000
stub cuGraphAddMemAllocNode
	proc	cuGraphAddMemAllocNode since=11040
stub cuGraphAddMemFreeNode
	proc	cuGraphAddMemFreeNode since=11040
stub cuGraphAddMemcpyNode
	proc	cuGraphAddMemcpyNode since=10000
stub cuGraphAddMemsetNode
	proc	cuGraphAddMemsetNode since=10000
stub cuGraphAddNode
	proc	cuGraphAddNode since=12020
stub cuGraphAddNode_v2
	proc	cuGraphAddNode since=12030
stub cuGraphBatchMemOpNodeGetParams
	proc	cuGraphBatchMemOpNodeGetParams since=11070
stub cuGraphBatchMemOpNodeSetParams
	proc	cuGraphBatchMemOpNodeSetParams since=11070
stub cuGraphChildGraphNodeGetGraph
	proc	cuGraphChildGraphNodeGetGraph since=10000
stub cuGraphClone
	proc	cuGraphClone since=10000
stub cuGraphConditionalHandleCreate
	proc	cuGraphConditionalHandleCreate since=12030
stub cuGraphCreate
	proc	cuGraphCreate since=10000
stub cuGraphDebugDotPrint
	proc	cuGraphDebugDotPrint since=11030
stub cuGraphDestroy
	proc	cuGraphDestroy since=10000
stub cuGraphDestroyNode
	proc	cuGraphDestroyNode since=10000
stub cuGraphEventRecordNodeGetEvent
	proc	cuGraphEventRecordNodeGetEvent since=11010
stub cuGraphEventRecordNodeSetEvent
	proc	cuGraphEventRecordNodeSetEvent since=11010
stub cuGraphEventWaitNodeGetEvent
	proc	cuGraphEventWaitNodeGetEvent since=11010
stub cuGraphEventWaitNodeSetEvent
	proc	cuGraphEventWaitNodeSetEvent since=11010
stub cuGraphExecBatchMemOpNodeSetParams
	proc	cuGraphExecBatchMemOpNodeSetParams since=11070
stub cuGraphExecChildGraphNodeSetParams
	proc	cuGraphExecChildGraphNodeSetParams since=11010
stub cuGraphExecDestroy
	proc	cuGraphExecDestroy since=10000
stub cuGraphExecEventRecordNodeSetEvent
	proc	cuGraphExecEventRecordNodeSetEvent since=11010
stub cuGraphExecEventWaitNodeSetEvent
	proc	cuGraphExecEventWaitNodeSetEvent since=11010
stub cuGraphExecExternalSemaphoresSignalNodeSetParams
	proc	cuGraphExecExternalSemaphoresSignalNodeSetParams since=11020
stub cuGraphExecExternalSemaphoresWaitNodeSetParams
	proc	cuGraphExecExternalSemaphoresWaitNodeSetParams since=11020
stub cuGraphExecGetFlags
	proc	cuGraphExecGetFlags since=12000
stub cuGraphExecHostNodeSetParams
	proc	cuGraphExecHostNodeSetParams since=10020
stub cuGraphExecKernelNodeSetParams
	proc	cuGraphExecKernelNodeSetParams since=10010
stub cuGraphExecKernelNodeSetParams_v2
	proc	cuGraphExecKernelNodeSetParams since=12000
stub cuGraphExecMemcpyNodeSetParams
	proc	cuGraphExecMemcpyNodeSetParams since=10020
stub cuGraphExecMemsetNodeSetParams
	proc	cuGraphExecMemsetNodeSetParams since=10020
stub cuGraphExecNodeSetParams
	proc	cuGraphExecNodeSetParams since=12020
stub cuGraphExecUpdate
	proc	cuGraphExecUpdate since=10020
stub cuGraphExecUpdate_v2
	proc	cuGraphExecUpdate since=12000
stub cuGraphExternalSemaphoresSignalNodeGetParams
	proc	cuGraphExternalSemaphoresSignalNodeGetParams since=11020
stub cuGraphExternalSemaphoresSignalNodeSetParams
	proc	cuGraphExternalSemaphoresSignalNodeSetParams since=11020
stub cuGraphExternalSemaphoresWaitNodeGetParams
	proc	cuGraphExternalSemaphoresWaitNodeGetParams since=11020
stub cuGraphExternalSemaphoresWaitNodeSetParams
	proc	cuGraphExternalSemaphoresWaitNodeSetParams since=11020
stub cuGraphGetEdges
	proc	cuGraphGetEdges since=10000
stub cuGraphGetEdges_v2
	proc	cuGraphGetEdges since=12030
stub cuGraphGetNodes
	proc	cuGraphGetNodes since=10000
stub cuGraphGetRootNodes
	proc	cuGraphGetRootNodes since=10000
stub cuGraphHostNodeGetParams
	proc	cuGraphHostNodeGetParams since=10000
stub cuGraphHostNodeSetParams
	proc	cuGraphHostNodeSetParams since=10000
stub cuGraphInstantiate
	proc	cuGraphInstantiate since=10000
stub cuGraphInstantiateWithFlags
	proc	cuGraphInstantiateWithFlags since=11040
stub cuGraphInstantiateWithParams
	proc	cuGraphInstantiateWithParams since=12000 pt=12000:ptsz
stub cuGraphInstantiate_v2
	proc	cuGraphInstantiate since=11000
stub cuGraphKernelNodeCopyAttributes
	proc	cuGraphKernelNodeCopyAttributes since=11000
stub cuGraphKernelNodeGetAttribute
	proc	cuGraphKernelNodeGetAttribute since=11000
stub cuGraphKernelNodeGetParams
	proc	cuGraphKernelNodeGetParams since=10000
stub cuGraphKernelNodeGetParams_v2
	proc	cuGraphKernelNodeGetParams since=12000
stub cuGraphKernelNodeSetAttribute
	proc	cuGraphKernelNodeSetAttribute since=11000
stub cuGraphKernelNodeSetParams
	proc	cuGraphKernelNodeSetParams since=10000
stub cuGraphKernelNodeSetParams_v2
	proc	cuGraphKernelNodeSetParams since=12000
stub cuGraphLaunch
	proc	cuGraphLaunch since=10000 pt=10000:ptsz
stub cuGraphMemAllocNodeGetParams
	proc	cuGraphMemAllocNodeGetParams since=11040
stub cuGraphMemFreeNodeGetParams
	proc	cuGraphMemFreeNodeGetParams since=11040
stub cuGraphMemcpyNodeGetParams
	proc	cuGraphMemcpyNodeGetParams since=10000
stub cuGraphMemcpyNodeSetParams
	proc	cuGraphMemcpyNodeSetParams since=10000
stub cuGraphMemsetNodeGetParams
	proc	cuGraphMemsetNodeGetParams since=10000
stub cuGraphMemsetNodeSetParams
	proc	cuGraphMemsetNodeSetParams since=10000
stub cuGraphNodeFindInClone
	proc	cuGraphNodeFindInClone since=10000
stub cuGraphNodeGetDependencies
	proc	cuGraphNodeGetDependencies since=10000
stub cuGraphNodeGetDependencies_v2
	proc	cuGraphNodeGetDependencies since=12030
stub cuGraphNodeGetDependentNodes
	proc	cuGraphNodeGetDependentNodes since=10000
stub cuGraphNodeGetDependentNodes_v2
	proc	cuGraphNodeGetDependentNodes since=12030
stub cuGraphNodeGetEnabled
	proc	cuGraphNodeGetEnabled since=11060
stub cuGraphNodeGetType
	proc	cuGraphNodeGetType since=10000
stub cuGraphNodeSetEnabled
	proc	cuGraphNodeSetEnabled since=11060
stub cuGraphNodeSetParams
	proc	cuGraphNodeSetParams since=12020
stub cuGraphReleaseUserObject
	proc	cuGraphReleaseUserObject since=11030
stub cuGraphRemoveDependencies
	proc	cuGraphRemoveDependencies since=10000
stub cuGraphRemoveDependencies_v2
	proc	cuGraphRemoveDependencies since=12030
stub cuGraphRetainUserObject
	proc	cuGraphRetainUserObject since=11030
stub cuGraphUpload
	proc	cuGraphUpload since=11010 pt=11010:ptsz
stub cuGraphicsMapResources
	proc	cuGraphicsMapResources since=3000 pt=7000:ptsz
stub cuGraphicsResourceGetMappedMipmappedArray
	proc	cuGraphicsResourceGetMappedMipmappedArray since=5000
stub cuGraphicsResourceGetMappedPointer
	proc	cuGraphicsResourceGetMappedPointer since=3000
stub cuGraphicsResourceGetMappedPointer_v2
	proc	cuGraphicsResourceGetMappedPointer since=3020
stub cuGraphicsResourceSetMapFlags
	proc	cuGraphicsResourceSetMapFlags since=3000
stub cuGraphicsResourceSetMapFlags_v2
	proc	cuGraphicsResourceSetMapFlags since=6050
stub cuGraphicsSubResourceGetMappedArray
	proc	cuGraphicsSubResourceGetMappedArray since=3000
stub cuGraphicsUnmapResources
	proc	cuGraphicsUnmapResources since=3000 pt=7000:ptsz
stub cuGraphicsUnregisterResource
	proc	cuGraphicsUnregisterResource since=3000
stub cuGreenCtxCreate
	proc	cuGreenCtxCreate since=12040
stub cuGreenCtxDestroy
	proc	cuGreenCtxDestroy since=12040
stub cuGreenCtxGetDevResource
	proc	cuGreenCtxGetDevResource since=12040
stub cuGreenCtxGetId
	proc	cuGreenCtxGetId since=12090
stub cuGreenCtxRecordEvent
	proc	cuGreenCtxRecordEvent since=12040
stub cuGreenCtxStreamCreate
	proc	cuGreenCtxStreamCreate since=12050
stub cuGreenCtxWaitEvent
	proc	cuGreenCtxWaitEvent since=12040
stub cuImportExternalMemory
	proc	cuImportExternalMemory since=10000
stub cuImportExternalSemaphore
	proc	cuImportExternalSemaphore since=10000
stub cuIpcCloseMemHandle
	proc	cuIpcCloseMemHandle since=4010
stub cuIpcGetEventHandle
	proc	cuIpcGetEventHandle since=4010
stub cuIpcGetMemHandle
	proc	cuIpcGetMemHandle since=4010
stub cuIpcOpenEventHandle
	proc	cuIpcOpenEventHandle since=4010
stub cuIpcOpenMemHandle
	proc	cuIpcOpenMemHandle since=4010
stub cuIpcOpenMemHandle_v2
	proc	cuIpcOpenMemHandle since=11000
stub cuLaunch
	proc	cuLaunch since=2000
stub cuLaunchCooperativeKernelMultiDevice
	proc	cuLaunchCooperativeKernelMultiDevice since=9000
stub cuLaunchGrid
	proc	cuLaunchGrid since=2000
stub cuLaunchGridAsync
	proc	cuLaunchGridAsync since=2000
stub cuLibraryGetManaged
	proc	cuLibraryGetManaged since=12000
stub cuLibraryGetUnifiedFunction
	proc	cuLibraryGetUnifiedFunction since=12000
stub cuLinkAddData
	proc	cuLinkAddData since=5050
stub cuLinkAddData_v2
	proc	cuLinkAddData since=6050
stub cuLinkAddFile
	proc	cuLinkAddFile since=5050
stub cuLinkAddFile_v2
	proc	cuLinkAddFile since=6050
stub cuLinkComplete
	proc	cuLinkComplete since=5050
stub cuLinkCreate
	proc	cuLinkCreate since=5050
stub cuLinkCreate_v2
	proc	cuLinkCreate since=6050
stub cuLinkDestroy
	proc	cuLinkDestroy since=5050
stub cuLogsCurrent
	proc	cuLogsCurrent since=12090
stub cuLogsDumpToFile
	proc	cuLogsDumpToFile since=12090
stub cuLogsDumpToMemory
	proc	cuLogsDumpToMemory since=12090
stub cuLogsRegisterCallback
	proc	cuLogsRegisterCallback since=12090
stub cuLogsUnregisterCallback
	proc	cuLogsUnregisterCallback since=12090
stub cuMemAddressFree
	proc	cuMemAddressFree since=10020
stub cuMemAddressReserve
	proc	cuMemAddressReserve since=10020
stub cuMemAdvise
	proc	cuMemAdvise since=8000
stub cuMemAdvise_v2
	proc	cuMemAdvise since=12020
stub cuMemAlloc
	proc	cuMemAlloc since=2000
stub cuMemAllocAsync
	proc	cuMemAllocAsync since=11020 pt=11020:ptsz
stub cuMemAllocFromPoolAsync
	proc	cuMemAllocFromPoolAsync since=11020 pt=11020:ptsz
stub cuMemAllocHost
	proc	cuMemAllocHost since=2000
stub cuMemAllocManaged
	proc	cuMemAllocManaged since=6000
stub cuMemAllocPitch
	proc	cuMemAllocPitch since=2000
stub cuMemBatchDecompressAsync
	proc	cuMemBatchDecompressAsync since=12060 pt=12060:ptsz
stub cuMemCreate
	proc	cuMemCreate since=10020
stub cuMemDiscardAndPrefetchBatchAsync
	proc	cuMemDiscardAndPrefetchBatchAsync since=13000 pt=13000:ptsz
stub cuMemDiscardBatchAsync
	proc	cuMemDiscardBatchAsync since=13000 pt=13000:ptsz
stub cuMemExportToShareableHandle
	proc	cuMemExportToShareableHandle since=10020
stub cuMemFree
	proc	cuMemFree since=2000
stub cuMemFreeAsync
	proc	cuMemFreeAsync since=11020 pt=11020:ptsz
stub cuMemGetAccess
	proc	cuMemGetAccess since=10020
stub cuMemGetAddressRange
	proc	cuMemGetAddressRange since=2000
stub cuMemGetAllocationGranularity
	proc	cuMemGetAllocationGranularity since=10020
stub cuMemGetAllocationPropertiesFromHandle
	proc	cuMemGetAllocationPropertiesFromHandle since=10020
stub cuMemGetDefaultMemPool
	proc	cuMemGetDefaultMemPool since=13000
stub cuMemGetHandleForAddressRange
	proc	cuMemGetHandleForAddressRange since=11070
stub cuMemGetInfo
	proc	cuMemGetInfo since=2000
stub cuMemGetMemPool
	proc	cuMemGetMemPool since=13000
stub cuMemHostGetDevicePointer
	proc	cuMemHostGetDevicePointer since=2020
stub cuMemHostRegister
	proc	cuMemHostRegister since=4000
stub cuMemImportFromShareableHandle
	proc	cuMemImportFromShareableHandle since=10020
stub cuMemMap
	proc	cuMemMap since=10020
stub cuMemMapArrayAsync
	proc	cuMemMapArrayAsync since=11010 pt=11010:ptsz
stub cuMemPoolCreate
	proc	cuMemPoolCreate since=11020
stub cuMemPoolDestroy
	proc	cuMemPoolDestroy since=11020
stub cuMemPoolExportPointer
	proc	cuMemPoolExportPointer since=11020
stub cuMemPoolExportToShareableHandle
	proc	cuMemPoolExportToShareableHandle since=11020
stub cuMemPoolGetAccess
	proc	cuMemPoolGetAccess since=11020
stub cuMemPoolGetAttribute
	proc	cuMemPoolGetAttribute since=11020
stub cuMemPoolImportFromShareableHandle
	proc	cuMemPoolImportFromShareableHandle since=11020
stub cuMemPoolImportPointer
	proc	cuMemPoolImportPointer since=11020
stub cuMemPoolSetAccess
	proc	cuMemPoolSetAccess since=11020
stub cuMemPoolSetAttribute
	proc	cuMemPoolSetAttribute since=11020
stub cuMemPoolTrimTo
	proc	cuMemPoolTrimTo since=11020
stub cuMemPrefetchAsync
	proc	cuMemPrefetchAsync since=8000 pt=8000:ptsz
stub cuMemPrefetchAsync_v2
	proc	cuMemPrefetchAsync since=12020 pt=12020:ptsz
stub cuMemPrefetchBatchAsync
	proc	cuMemPrefetchBatchAsync since=13000 pt=13000:ptsz
stub cuMemRangeGetAttribute
	proc	cuMemRangeGetAttribute since=8000
stub cuMemRangeGetAttributes
	proc	cuMemRangeGetAttributes since=8000
stub cuMemRelease
	proc	cuMemRelease since=10020
stub cuMemRetainAllocationHandle
	proc	cuMemRetainAllocationHandle since=11000
stub cuMemSetAccess
	proc	cuMemSetAccess since=10020
stub cuMemSetMemPool
	proc	cuMemSetMemPool since=13000
stub cuMemUnmap
	proc	cuMemUnmap since=10020
stub cuMemcpy2D
	proc	cuMemcpy2D since=2000
stub cuMemcpy2DAsync
	proc	cuMemcpy2DAsync since=2000
local cuMemcpy2DAsync_v2
	proc	cuMemcpy2DAsync since=3020 pt=7000:ptsz
stub cuMemcpy2DUnaligned
	proc	cuMemcpy2DUnaligned since=2000
local cuMemcpy2DUnaligned_v2
	proc	cuMemcpy2DUnaligned since=3020 pt=7000:ptds
local cuMemcpy2D_v2
	proc	cuMemcpy2D since=3020 pt=7000:ptds
stub cuMemcpy3D
	proc	cuMemcpy3D since=2000
stub cuMemcpy3DAsync
	proc	cuMemcpy3DAsync since=2000
local cuMemcpy3DAsync_v2
	proc	cuMemcpy3DAsync since=3020 pt=7000:ptsz
stub cuMemcpy3DBatchAsync
	proc	cuMemcpy3DBatchAsync since=12080 pt=12080:ptsz
stub cuMemcpy3DBatchAsync_v2
	proc	cuMemcpy3DBatchAsync since=13000 pt=13000:ptsz
stub cuMemcpy3DPeer
	proc	cuMemcpy3DPeer since=4000 pt=7000:ptds
stub cuMemcpy3DPeerAsync
	proc	cuMemcpy3DPeerAsync since=4000 pt=7000:ptsz
local cuMemcpy3D_v2
	proc	cuMemcpy3D since=3020 pt=7000:ptds
stub cuMemcpyAtoA
	proc	cuMemcpyAtoA since=2000
stub cuMemcpyAtoA_v2
	proc	cuMemcpyAtoA since=3020 pt=7000:ptds
stub cuMemcpyAtoD
	proc	cuMemcpyAtoD since=2000
stub cuMemcpyAtoD_v2
	proc	cuMemcpyAtoD since=3020 pt=7000:ptds
stub cuMemcpyAtoH
	proc	cuMemcpyAtoH since=2000
stub cuMemcpyAtoHAsync
	proc	cuMemcpyAtoHAsync since=2000
stub cuMemcpyAtoHAsync_v2
	proc	cuMemcpyAtoHAsync since=3020 pt=7000:ptsz
stub cuMemcpyAtoH_v2
	proc	cuMemcpyAtoH since=3020 pt=7000:ptds
stub cuMemcpyBatchAsync
	proc	cuMemcpyBatchAsync since=12080 pt=12080:ptsz
stub cuMemcpyBatchAsync_v2
	proc	cuMemcpyBatchAsync since=13000 pt=13000:ptsz
stub cuMemcpyDtoA
	proc	cuMemcpyDtoA since=2000
stub cuMemcpyDtoA_v2
	proc	cuMemcpyDtoA since=3020 pt=7000:ptds
stub cuMemcpyDtoD
	proc	cuMemcpyDtoD since=2000
stub cuMemcpyDtoDAsync
	proc	cuMemcpyDtoDAsync since=3000
stub cuMemcpyDtoH
	proc	cuMemcpyDtoH since=2000
stub cuMemcpyDtoHAsync
	proc	cuMemcpyDtoHAsync since=2000
stub cuMemcpyHtoA
	proc	cuMemcpyHtoA since=2000
stub cuMemcpyHtoAAsync
	proc	cuMemcpyHtoAAsync since=2000
stub cuMemcpyHtoAAsync_v2
	proc	cuMemcpyHtoAAsync since=3020 pt=7000:ptsz
stub cuMemcpyHtoA_v2
	proc	cuMemcpyHtoA since=3020 pt=7000:ptds
stub cuMemcpyHtoD
	proc	cuMemcpyHtoD since=2000
stub cuMemcpyHtoDAsync
	proc	cuMemcpyHtoDAsync since=2000
stub cuMemsetD16
	proc	cuMemsetD16 since=2000
stub cuMemsetD2D16
	proc	cuMemsetD2D16 since=2000
stub cuMemsetD2D32
	proc	cuMemsetD2D32 since=2000
stub cuMemsetD2D8
	proc	cuMemsetD2D8 since=2000
stub cuMemsetD32
	proc	cuMemsetD32 since=2000
stub cuMemsetD8
	proc	cuMemsetD8 since=2000
stub cuMipmappedArrayCreate
	proc	cuMipmappedArrayCreate since=5000
stub cuMipmappedArrayDestroy
	proc	cuMipmappedArrayDestroy since=5000
stub cuMipmappedArrayGetLevel
	proc	cuMipmappedArrayGetLevel since=5000
stub cuMipmappedArrayGetMemoryRequirements
	proc	cuMipmappedArrayGetMemoryRequirements since=11060
stub cuMipmappedArrayGetSparseProperties
	proc	cuMipmappedArrayGetSparseProperties since=11010
stub cuModuleGetGlobal
	proc	cuModuleGetGlobal since=2000
stub cuModuleGetSurfRef
	proc	cuModuleGetSurfRef since=3000
stub cuModuleGetTexRef
	proc	cuModuleGetTexRef since=2000
stub cuMulticastAddDevice
	proc	cuMulticastAddDevice since=12010
stub cuMulticastBindAddr
	proc	cuMulticastBindAddr since=12010
stub cuMulticastBindMem
	proc	cuMulticastBindMem since=12010
stub cuMulticastCreate
	proc	cuMulticastCreate since=12010
stub cuMulticastGetGranularity
	proc	cuMulticastGetGranularity since=12010
stub cuMulticastUnbind
	proc	cuMulticastUnbind since=12010
stub cuOccupancyMaxActiveClusters
	proc	cuOccupancyMaxActiveClusters since=11070
stub cuOccupancyMaxPotentialClusterSize
	proc	cuOccupancyMaxPotentialClusterSize since=11070
stub cuParamSetSize
	proc	cuParamSetSize since=2000
stub cuParamSetTexRef
	proc	cuParamSetTexRef since=2000
stub cuParamSetf
	proc	cuParamSetf since=2000
stub cuParamSeti
	proc	cuParamSeti since=2000
stub cuParamSetv
	proc	cuParamSetv since=2000
stub cuPointerSetAttribute
	proc	cuPointerSetAttribute since=6000
stub cuSignalExternalSemaphoresAsync
	proc	cuSignalExternalSemaphoresAsync since=10000 pt=10000:ptsz
stub cuStreamAttachMemAsync
	proc	cuStreamAttachMemAsync since=6000 pt=7000:ptsz
stub cuStreamBatchMemOp
	proc	cuStreamBatchMemOp since=8000 pt=8000:ptsz
stub cuStreamBatchMemOp_v2
	proc	cuStreamBatchMemOp since=11070 pt=11070:ptsz
stub cuStreamBeginCapture
	proc	cuStreamBeginCapture since=10000 pt=10000:ptsz
stub cuStreamBeginCaptureToGraph
	proc	cuStreamBeginCaptureToGraph since=12030 pt=12030:ptsz
stub cuStreamBeginCapture_v2
	proc	cuStreamBeginCapture since=10010 pt=10010:ptsz
stub cuStreamCopyAttributes
	proc	cuStreamCopyAttributes since=11000 pt=11000:ptsz
stub cuStreamDestroy
	proc	cuStreamDestroy since=2000
stub cuStreamEndCapture
	proc	cuStreamEndCapture since=10000 pt=10000:ptsz
stub cuStreamGetAttribute
	proc	cuStreamGetAttribute since=11000 pt=11000:ptsz
stub cuStreamGetCtx_v2
	proc	cuStreamGetCtx since=12050 pt=12050:ptsz
stub cuStreamGetGreenCtx
	proc	cuStreamGetGreenCtx since=12040
stub cuStreamSetAttribute
	proc	cuStreamSetAttribute since=11000 pt=11000:ptsz
stub cuStreamUpdateCaptureDependencies
	proc	cuStreamUpdateCaptureDependencies since=11030 pt=11030:ptsz
stub cuStreamUpdateCaptureDependencies_v2
	proc	cuStreamUpdateCaptureDependencies since=12030 pt=12030:ptsz
stub cuStreamWaitValue32
	proc	cuStreamWaitValue32 since=8000 pt=8000:ptsz
stub cuStreamWaitValue32_v2
	proc	cuStreamWaitValue32 since=11070 pt=11070:ptsz
stub cuStreamWaitValue64
	proc	cuStreamWaitValue64 since=9000 pt=9000:ptsz
stub cuStreamWaitValue64_v2
	proc	cuStreamWaitValue64 since=11070 pt=11070:ptsz
stub cuStreamWriteValue32
	proc	cuStreamWriteValue32 since=8000 pt=8000:ptsz
stub cuStreamWriteValue32_v2
	proc	cuStreamWriteValue32 since=11070 pt=11070:ptsz
stub cuStreamWriteValue64
	proc	cuStreamWriteValue64 since=9000 pt=9000:ptsz
stub cuStreamWriteValue64_v2
	proc	cuStreamWriteValue64 since=11070 pt=11070:ptsz
stub cuSurfObjectCreate
	proc	cuSurfObjectCreate since=5000
stub cuSurfObjectDestroy
	proc	cuSurfObjectDestroy since=5000
stub cuSurfObjectGetResourceDesc
	proc	cuSurfObjectGetResourceDesc since=5000
stub cuSurfRefGetArray
	proc	cuSurfRefGetArray since=3000
stub cuSurfRefSetArray
	proc	cuSurfRefSetArray since=3000
stub cuTensorMapEncodeIm2col
	proc	cuTensorMapEncodeIm2col since=12000
stub cuTensorMapEncodeIm2colWide
	proc	cuTensorMapEncodeIm2colWide since=12080
stub cuTensorMapEncodeTiled
	proc	cuTensorMapEncodeTiled since=12000
stub cuTensorMapReplaceAddress
	proc	cuTensorMapReplaceAddress since=12000
stub cuTexObjectCreate
	proc	cuTexObjectCreate since=5000
stub cuTexObjectDestroy
	proc	cuTexObjectDestroy since=5000
stub cuTexObjectGetResourceDesc
	proc	cuTexObjectGetResourceDesc since=5000
stub cuTexObjectGetResourceViewDesc
	proc	cuTexObjectGetResourceViewDesc since=5000
stub cuTexObjectGetTextureDesc
	proc	cuTexObjectGetTextureDesc since=5000
stub cuTexRefCreate
	proc	cuTexRefCreate since=2000
stub cuTexRefDestroy
	proc	cuTexRefDestroy since=2000
stub cuTexRefGetAddress
	proc	cuTexRefGetAddress since=2000
stub cuTexRefGetAddressMode
	proc	cuTexRefGetAddressMode since=2000
stub cuTexRefGetAddress_v2
	proc	cuTexRefGetAddress since=3020
stub cuTexRefGetArray
	proc	cuTexRefGetArray since=2000
stub cuTexRefGetBorderColor
	proc	cuTexRefGetBorderColor since=8000
stub cuTexRefGetFilterMode
	proc	cuTexRefGetFilterMode since=2000
stub cuTexRefGetFlags
	proc	cuTexRefGetFlags since=2000
stub cuTexRefGetFormat
	proc	cuTexRefGetFormat since=2000
stub cuTexRefGetMaxAnisotropy
	proc	cuTexRefGetMaxAnisotropy since=5000
stub cuTexRefGetMipmapFilterMode
	proc	cuTexRefGetMipmapFilterMode since=5000
stub cuTexRefGetMipmapLevelBias
	proc	cuTexRefGetMipmapLevelBias since=5000
stub cuTexRefGetMipmapLevelClamp
	proc	cuTexRefGetMipmapLevelClamp since=5000
stub cuTexRefGetMipmappedArray
	proc	cuTexRefGetMipmappedArray since=5000
stub cuTexRefSetAddress
	proc	cuTexRefSetAddress since=2000
stub cuTexRefSetAddress2D
	proc	cuTexRefSetAddress2D since=2020
stub cuTexRefSetAddress2D_v2
	proc	cuTexRefSetAddress2D since=3020
stub cuTexRefSetAddress2D_v3
	proc	cuTexRefSetAddress2D since=4010
stub cuTexRefSetAddressMode
	proc	cuTexRefSetAddressMode since=2000
stub cuTexRefSetAddress_v2
	proc	cuTexRefSetAddress since=3020
stub cuTexRefSetArray
	proc	cuTexRefSetArray since=2000
stub cuTexRefSetBorderColor
	proc	cuTexRefSetBorderColor since=8000
stub cuTexRefSetFilterMode
	proc	cuTexRefSetFilterMode since=2000
stub cuTexRefSetFlags
	proc	cuTexRefSetFlags since=2000
stub cuTexRefSetFormat
	proc	cuTexRefSetFormat since=2000
stub cuTexRefSetMaxAnisotropy
	proc	cuTexRefSetMaxAnisotropy since=5000
stub cuTexRefSetMipmapFilterMode
	proc	cuTexRefSetMipmapFilterMode since=5000
stub cuTexRefSetMipmapLevelBias
	proc	cuTexRefSetMipmapLevelBias since=5000
stub cuTexRefSetMipmapLevelClamp
	proc	cuTexRefSetMipmapLevelClamp since=5000
stub cuTexRefSetMipmappedArray
	proc	cuTexRefSetMipmappedArray since=5000
stub cuUserObjectCreate
	proc	cuUserObjectCreate since=11030
stub cuUserObjectRelease
	proc	cuUserObjectRelease since=11030
stub cuUserObjectRetain
	proc	cuUserObjectRetain since=11030
stub cuWaitExternalSemaphoresAsync
	proc	cuWaitExternalSemaphoresAsync since=10000 pt=10000:ptsz
