# A small spec with something of everything, to see what becomes of it.

call 0x001 vgpu_note
	flow async noctx internal server=hook
	in	bytes	text	min=1 max=100
	in	u8	a
	in	u16	b	max=7
	in	u64	c	mask=0xff
	in	string	s	null max=16

call 0x002 vgpu_ask
	flow sync internal server=hook block
	in	struct vgpu_param	where
	in	u8	depth
	in	chunk	data
	out	u16	count
	out	struct vgpu_param	answer
	out	bytes	text	max=64
	out	bytes	more	max=8

call 0x0ff cuEventRecord
	proc	cuEventRecord since=2000 pt=7000:ptsz
	flow async
	in	handle event	hEvent
	in	handle stream	hStream	null

call 0x100 cuEventCreate
	proc	cuEventCreate since=2000
	flow async client=hook
	out	handle event	phEvent
	in	u32	Flags	mask=7

call 0x101 cuModuleGetGlobal_v2
	proc	cuModuleGetGlobal since=3020
	flow sync block
	out	devptr	dptr
	out	size	bytes	null
	in	handle module	hmod
	in	string	name	max=256

call 0x102 cuKernelSetAttribute
	proc	cuKernelSetAttribute since=12000
	flow sync noctx
	in	enum CUfunction_attribute	attrib	max=15
	in	i32	val	min=-1
	in	handle kernel	kernel
	in	device	dev

call 0x103 cuLaunchHostFunc
	proc	cuLaunchHostFunc since=10000 pt=10000:ptsz
	flow async client=hook server=hook
	args	CUstream hStream, CUhostFn fn, void *userData
	in	handle stream	hStream	null
	in	u64	token

call 0x0fe cuCtxGetCacheConfig
	proc	cuCtxGetCacheConfig since=3020
	flow cached
	out	enum CUfunc_cache	pconfig

local cuInit
	proc	cuInit since=2000
local cuMemcpy
	proc	cuMemcpy since=4000 pt=7000:ptds
stub cuEventElapsedTime
	proc	cuEventElapsedTime since=2000
stub cuEventElapsedTime_v2
	proc	cuEventElapsedTime since=12080

driver cuInit
driver cuEventDestroy_v2
driver cuModuleGetFunctionCount optional
