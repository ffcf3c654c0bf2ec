"""Become a program that the kernel kills when its parent ends: python -I -S tied.py PARENT PROGRAM ARGUMENT…

A program of its own: the call must be made in the child, and code between fork and exec is not safe beside threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):  # it ended before the call
    sys.exit(1)
os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - the launcher's own command
