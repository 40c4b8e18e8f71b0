#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes a virtual machine (tools/vm) a GPU host, for the other one.

    host.py --build BUILD

Certificates for the client are left in /share/tls. Whatever the tests want to do
here they ask for over TCP: a line of JSON, the name of a method of network.Gpus
with its arguments. Ends when /share/done is there; that no worker is left then is
part of it.
"""

import argparse
import json
import os
import shutil
import socket
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../e2e"))
from harness import Sanitizer, wait_until       # noqa: E402
from network import AGENT_PORT, PORT, Gpus      # noqa: E402

SHARE = os.environ.get("VM_SHARE", "/share")
ADDRESS = "10.9.0.2"


def let_in(path):
    """Workers are other users and must get to the libraries; this root is thrown away."""
    while path != "/":
        os.chmod(path, os.stat(path).st_mode | 0o555)
        path = os.path.dirname(path)


def answer(gpus, line):
    try:
        name, *arguments = json.loads(line)
        return {"result": getattr(gpus, name)(*arguments)}
    except Exception as error:      # for whoever asked
        return {"error": repr(error)}


def serve(gpus):
    """Does what is asked for until all is done."""
    with socket.create_server((ADDRESS, AGENT_PORT)) as listener:
        listener.settimeout(0.2)
        open(SHARE + "/ready", "w").close()
        while not os.path.exists(SHARE + "/done"):
            try:
                peer, _ = listener.accept()
            except socket.timeout:
                continue
            with peer:
                peer.settimeout(10)
                said = answer(gpus, peer.makefile().readline())
                peer.sendall(json.dumps(said).encode())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--devices", type=int, default=2)
    options = parser.parse_args()
    build = os.path.abspath(options.build)
    let_in(build)
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        gpus = Gpus(build, folder, Sanitizer("", folder), options.devices, "tls", ADDRESS,
                    port=PORT)
        shutil.copytree(gpus.client_tls, SHARE + "/tls")
        gpus.start()
        try:
            serve(gpus)
            left = wait_until(lambda: not gpus.workers(), 5) is None
            if left:
                print("workers %s are left\n%s" % (gpus.workers(), gpus.log()[-4000:]))
        finally:
            gpus.end()
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
