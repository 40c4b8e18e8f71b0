#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds what makes a device ready or busy until standard input ends.

    hold.py daemon | channel

daemon: /dev/vgpuctl is open. channel: and /dev/vgpu900 has an accepted channel
of the least size. Says "held" when that is so.
"""

import fcntl
import os
import struct
import sys

SETUP, SETUP_SIZE = 0x01, 48
ACCEPT = 0xBB40


def set_up(device):
    arg = struct.pack("=QII4IQQ", 0, 0, 0, 4096, 4096, 4096, 4096, 0, 0)
    assert len(arg) == SETUP_SIZE
    fcntl.ioctl(device, 3 << 30 | SETUP_SIZE << 16 | 0xBB << 8 | SETUP, arg)


def main():
    ctl = os.open("/dev/vgpuctl", os.O_RDWR)
    if sys.argv[1] == "channel":
        device = os.open("/dev/vgpu900", os.O_RDWR)
        set_up(device)
        peer = fcntl.ioctl(ctl, ACCEPT, 0)
    print("held", flush=True)
    sys.stdin.read()
    if sys.argv[1] == "channel":
        os.close(device)
        os.close(peer)


if __name__ == "__main__":
    main()
