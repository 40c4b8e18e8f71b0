# SPDX-License-Identifier: MIT
"""Where things that are made once are kept, outside the tree.

A name in the cache contains a digest of all that went into the thing, so what
is there is never out of date. Files appear under their name only when they are
whole: processes may make the same one at the same time.
"""

import contextlib
import fcntl
import glob
import hashlib
import os
import shutil
import tempfile
import time

UNUSED_DAYS = 14


def folder():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = os.path.join(base, "vgpu")
    os.makedirs(path, exist_ok=True)
    return path


def digest(*parts):
    """A short name for a sequence of byte strings and texts."""
    total = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode()
        total.update(b"%d:" % len(data) + data)
    return total.hexdigest()[:16]


def stamp(path):
    """Changes when the file does; for files too large to be read each time."""
    about = os.stat(path)
    return "%s %d %d" % (path, about.st_size, about.st_mtime_ns)


def used(path):
    """Whether it is there; it is not forgotten soon then."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def forget(kind):
    """Removes what is called KIND-... and has not been used for long."""
    for path in glob.glob(os.path.join(folder(), kind + "-*")):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - os.stat(path).st_mtime < UNUSED_DAYS * 86400:
                continue
            if os.path.isdir(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)


def keep(name, make):
    """Path of the file called name; make(path) writes it if there is none."""
    path = os.path.join(folder(), name)
    if used(path):
        return path
    handle, unfinished = tempfile.mkstemp(dir=folder(), prefix=name + ".")
    os.close(handle)
    try:
        make(unfinished)
        os.rename(unfinished, path)
    except BaseException:
        os.unlink(unfinished)
        raise
    forget(name.partition("-")[0])
    return path


@contextlib.contextmanager
def locked(name, waiting):
    """Holds a lock among processes; calls waiting() if another one has it."""
    with open(os.path.join(folder(), name + ".lock"), "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
