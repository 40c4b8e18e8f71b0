#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Uses /dev/vgpu900 and /dev/vgpuctl as programs and a daemon do.

    device_user.py daemon | channel | many

daemon has /dev/vgpuctl open; channel has also an accepted channel of the least
size. Both say "held" when that is so, and last until standard input ends. many
makes channels and closes them, two hundred one after the other.
"""

import fcntl
import os
import struct
import sys

SETUP = 0xC030BB01      # _IOWR(0xBB, 0x01, struct vgpu_ioc_setup), 48 bytes
ACCEPT = 0xBB40


def channel():
    device = os.open("/dev/vgpu900", os.O_RDWR)
    fcntl.ioctl(device, SETUP, struct.pack("=QII4IQQ", 0, 0, 0, 4096, 4096, 4096, 4096, 0, 0))
    return device


def hold():
    print("held", flush=True)
    sys.stdin.read()


def main():
    ctl = os.open("/dev/vgpuctl", os.O_RDWR)
    if sys.argv[1] == "many":
        for _ in range(200):
            os.close(channel())
        return
    if sys.argv[1] == "channel":
        device = channel()
        peer = fcntl.ioctl(ctl, ACCEPT, 0)
        hold()
        os.close(device)
        os.close(peer)
        return
    hold()


if __name__ == "__main__":
    main()
