# SPDX-License-Identifier: MIT
"""What the end-to-end tests share: environments, processes, a server, TAP.

A process always runs in a session of its own, has a deadline, and is killed
with its whole session by number. Output goes to files: a forked child that
keeps a pipe open must not hold the test up.
"""

import ctypes
import glob
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

CUDA_HOME = os.environ.get("CUDA_HOME", "/usr/local/cuda")
ADDR_NO_RANDOMIZE = 0x0040000
SANITIZERS = {"address": "libasan.so", "thread": "libtsan.so"}
FINDING = re.compile(r"(ERROR|WARNING): \w*Sanitizer|runtime error:|SUMMARY: \w*Sanitizer")


class Sanitizer:
    """Runs foreign programs with a sanitizer's runtime; collects its reports."""

    def __init__(self, kind, folder):
        self.kind = kind
        self.folder = folder
        self.runtime = None
        if kind:
            name = SANITIZERS[kind]
            self.runtime = os.path.realpath(subprocess.check_output(
                [os.environ.get("CC", "gcc"), "-print-file-name=" + name], text=True).strip())

    def environment(self, foreign):
        """foreign: the program is not instrumented, only the library it loads."""
        if not self.kind:
            return {}
        common = "log_path=%s/report:exitcode=99" % self.folder
        env = {
            "ASAN_OPTIONS": common + ":detect_leaks=0:detect_stack_use_after_return=0",
            "UBSAN_OPTIONS": common + ":print_stacktrace=1",
            # memory and locks of the program and of NVIDIA's runtime are
            # not looked at: nothing of them is instrumented
            "TSAN_OPTIONS": common + ":ignore_noninstrumented_modules=1:report_thread_leaks=0"
                                     ":die_after_fork=0",
        }
        if foreign:
            env["LD_PRELOAD"] = self.runtime
        return env

    def reports(self):
        """Texts of what was found since the last call."""
        found = []
        for path in sorted(glob.glob(self.folder + "/report*")):
            with open(path, errors="replace") as file:
                text = file.read()
            os.unlink(path)
            if FINDING.search(text):
                found.append(text)
        return found


def before_exec(no_randomize, user):
    """For the child: no core files; fixed addresses for ThreadSanitizer; another user."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if no_randomize:
        ctypes.CDLL(None).personality(ADDR_NO_RANDOMIZE)
    if user:
        uid, gid = user
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)


class Process:
    """A running program whose output goes to a file."""

    def __init__(self, command, env, no_randomize=False, cwd=None, user=None):
        self.output_file = tempfile.TemporaryFile()
        self.last_output = None     # when it has ended
        self.start = time.monotonic()
        self.popen = subprocess.Popen(
            command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=self.output_file,
            stderr=subprocess.STDOUT, start_new_session=True,
            preexec_fn=lambda: before_exec(no_randomize, user))
        self.pid = self.popen.pid

    def wait(self, timeout):
        """Exit status, negative for a signal; None: still running."""
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def output(self):
        if self.last_output is not None:
            return self.last_output
        size = os.fstat(self.output_file.fileno()).st_size
        return os.pread(self.output_file.fileno(), size, 0).decode(errors="replace")

    def wait_output(self, text, timeout):
        """Whether it said text in time."""
        end = time.monotonic() + timeout
        while text not in self.output():
            if time.monotonic() > end or self.popen.poll() is not None:
                return text in self.output()
            time.sleep(0.005)
        return True

    def kill(self, number=signal.SIGKILL):
        """Only this process, not what it started."""
        if self.popen.poll() is None:
            os.kill(self.pid, number)
            self.popen.wait()

    def end(self):
        """It and everything in its session."""
        for pid in session_members(self.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.popen.poll() is None:
            self.popen.wait()
        self.last_output = self.output()
        self.output_file.close()


def processes():
    """(pid, parent, session, state) of every process."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % entry) as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        yield int(entry), int(fields[1]), int(fields[3]), fields[0]


def session_members(session):
    return [pid for pid, _, sid, state in processes() if sid == session and state != "Z"]


def alive(pids):
    """Those that run: whoever inherits a dead one may be slow to bury it."""
    return [pid for pid, _, _, state in processes() if pid in pids and state != "Z"]


def descendants(pid):
    """Living descendants of a process."""
    parents = {p: parent for p, parent, _, state in processes() if state != "Z"}
    found = []
    for p in parents:
        up = parents[p]
        while up in parents and up != pid:
            up = parents[up]
        if up == pid:
            found.append(p)
    return found


def wait_until(condition, timeout):
    """Seconds it took; None: not within timeout."""
    start = time.monotonic()
    while True:
        if condition():
            return time.monotonic() - start
        if time.monotonic() - start > timeout:
            return None
        time.sleep(0.005)


CTL = "/dev/vgpuctl"
SERVED = {"remote", "device"}   # modes with a server


def start_daemon(command, env, san):
    """A Process that has said it is ready."""
    daemon = Process(command, dict(env, **san.environment(False)), san.kind == "thread")
    if not daemon.wait_output("ready", 30):
        text = daemon.output()
        daemon.end()
        raise RuntimeError("%s is not ready:\n%s" % (os.path.basename(command[0]), text))
    return daemon


def start_server(build, folder, san, devices, arguments):
    """vgpu-server on the software GPU."""
    return start_daemon(
        [build + "/vgpu-server", "--libcuda", build + "/softgpu/libcuda.so.1",
         "--cache", folder + "/cache", *arguments],
        dict(os.environ, SOFTGPU_DEVICES=str(devices)), san)


class Setup:
    """One way to give programs a libcuda: direct, remote, device or native.

    devices: of the software GPU. user: (uid, gid) that programs run as, without
    further groups; the server stays who we are.
    """

    def __init__(self, build, mode, san="", libraries=None, devices=2, user=None):
        self.build = os.path.abspath(build)
        self.mode = mode
        self.devices = devices
        self.libraries = libraries
        self.user = user
        self.folder = tempfile.mkdtemp(prefix="vgpu-e2e-")
        # the socket is in it, and reports of sanitizers go there
        os.chmod(self.folder, 0o1777 if user else 0o700)
        self.san = Sanitizer(san, self.folder)
        self.server = None
        self.looked_at = {}     # of each daemon: characters of its output

    def __enter__(self):
        if self.mode in SERVED:
            self.start_server()
        return self

    def __exit__(self, *_):
        for daemon in self.daemons():
            daemon.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def daemons(self):
        """Those of this host."""
        return [self.server] if self.server else []

    @property
    def socket_path(self):
        return self.folder + "/vgpu.sock"

    def missing(self):
        """What has not been built or loaded, or None."""
        served = ["lib/libcuda.so.1", "vgpu-server", "softgpu/libcuda.so.1"]
        needed = {"direct": ["softgpu/libcuda.so.1"], "native": [], "remote": served,
                  "device": served + [CTL]}
        for path in needed[self.mode]:
            if not os.path.exists(os.path.join(self.build, path)):
                return os.path.join(self.build, path)
        return None

    def environment(self):
        """For a program under test."""
        env = dict(os.environ)
        path = {"direct": [self.build + "/softgpu"], "native": []}
        path = path.get(self.mode, [self.build + "/lib"])
        path = path + ([self.libraries] if self.libraries else [])
        env["LD_LIBRARY_PATH"] = ":".join(path + [CUDA_HOME + "/lib64"])
        if self.mode == "remote":
            env["VGPU_DEVICES"] = "none"
            env["VGPU_SOCKET"] = self.socket_path
        elif self.mode != "device":
            env["SOFTGPU_DEVICES"] = str(self.devices)
        env.update(self.san.environment(True))
        return env

    def start(self, command):
        return Process(command, self.environment(), self.san.kind == "thread", user=self.user)

    def start_server(self):
        self.server = start_server(
            self.build, self.folder, self.san, self.devices,
            ["--socket", self.socket_path, "--ctl", CTL if self.mode == "device" else "none"])

    def dead(self):
        """Daemons that have ended."""
        return [daemon for daemon in self.daemons() if daemon.popen.poll() is not None]

    def restart_dead(self):
        for daemon in self.dead():
            daemon.end()
            self.start_server()

    def said(self):
        """How much the daemons have said; for server_log()."""
        return [len(daemon.output()) for daemon in self.daemons()]

    def server_log(self, since=(), lines=20):
        """The newest lines of the daemons' output after what they had said then."""
        since = list(since) + [0] * len(self.daemons())
        return "\n".join(line for daemon, begin in zip(self.daemons(), since)
                         for line in daemon.output()[begin:].splitlines()[-lines:])

    def findings(self, text):
        """Sanitizer reports of everybody since the last call; text: of a program."""
        found = self.san.reports()
        if self.san.kind:
            parts = [text]
            for daemon in self.daemons():
                said = daemon.output()
                parts.append(said[self.looked_at.get(daemon, 0):])
                self.looked_at[daemon] = len(said)
            found += [part for part in parts if FINDING.search(part)]
        return found

    def workers(self):
        return descendants(self.server.pid)

    def kill_workers(self, pids):
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    def alive(self, pids):
        """Of the GPU host's processes."""
        return alive(pids)

    def kill_server(self):
        self.server.kill()

    def restart_server(self):
        self.server.end()
        self.start_server()

    def restart_all(self):
        self.restart_server()


class Tap:
    """Numbers results and counts failures."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def result(self, good, name, why="", details=""):
        self.count += 1
        self.failed += not good
        if not good:    # before the result: what stands there belongs to it
            for line in details.rstrip().splitlines():
                print("#   " + line)
        print("%sok %d - %s%s" % ("" if good else "not ", self.count, name,
                                  " # " + why if why else ""))
        sys.stdout.flush()

    def skip(self, name, why):
        self.result(True, name, "SKIP " + why)

    def end(self):
        print("1..%d" % self.count)
        return 1 if self.failed else 0
