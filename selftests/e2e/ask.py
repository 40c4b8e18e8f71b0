# SPDX-License-Identifier: MIT
"""Asks libcuda.so.1 what a program sees; prints it as one line of JSON.

    {"init": CUresult, "devices": [{"name": …, "uuid": …, "memory": …}, …]}
"""

import ctypes
import json
import uuid

NAME_ROOM = 256


def device(cuda, ordinal):
    name = ctypes.create_string_buffer(NAME_ROOM)
    number = (ctypes.c_ubyte * 16)()
    memory = ctypes.c_size_t()
    dev = ctypes.c_int()
    results = [cuda.cuDeviceGet(ctypes.byref(dev), ordinal),
               cuda.cuDeviceGetName(name, NAME_ROOM, dev),
               cuda.cuDeviceGetUuid(ctypes.byref(number), dev),
               cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), dev)]
    assert not any(results), results
    return {"name": name.value.decode(), "uuid": str(uuid.UUID(bytes=bytes(number))),
            "memory": memory.value}


def main():
    cuda = ctypes.CDLL("libcuda.so.1")
    count = ctypes.c_int()
    answer = {"init": cuda.cuInit(0), "devices": []}
    if not answer["init"]:
        assert not cuda.cuDeviceGetCount(ctypes.byref(count))
        answer["devices"] = [device(cuda, i) for i in range(count.value)]
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
