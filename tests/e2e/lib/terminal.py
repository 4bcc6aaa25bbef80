#!/usr/bin/env python3
"""Runs a command on a terminal of its own: terminal.py COMMAND [ARG…].

What comes on stdin is typed there, also Ctrl-C (\\x03); what the command prints,
on stdout and stderr, goes to stdout. The exit code is the command's, or 128 and
the number of the signal that ended it.
"""
import fcntl
import os
import pty
import select
import struct
import sys
import termios

ROWS, COLUMNS = 24, 100


def main():
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(sys.argv[1], sys.argv[1:])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    watched = [terminal, sys.stdin.fileno()]
    while True:
        for fd in select.select(watched, [], [])[0]:
            try:
                data = os.read(fd, 65536)
            except OSError:  # how a terminal says that nobody is left on it
                data = b""
            if fd != terminal:
                os.write(terminal, data) if data else watched.remove(fd)
            elif data:
                os.write(sys.stdout.fileno(), data)
            else:
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
