"""Locks on files that are open, where the system and the file system have them."""

from __future__ import annotations

try:
    import fcntl
except ImportError:  # not a system with file locks of this kind
    fcntl = None


def take_lock(descriptor: int, *, wait: bool) -> bool | None:
    """Lock an open file, until its descriptor is closed here and in all processes that were forked meanwhile.

    Args:
        descriptor: Of the file.
        wait: Until another process that has the lock gives it back.

    Returns:
        Whether the lock is had; None where files cannot be locked.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # some file systems of networks have no locks
        return None
    return True
