"""Runs a program on a terminal of so many columns, and writes what it shows.

terminal.py COLUMNS PROGRAM ARGUMENT…; ends with the program's code.
"""

import fcntl
import os
import pty
import struct
import sys
import termios

columns, *command = sys.argv[1:]
child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 50, int(columns), 0, 0))
    os.execv(command[0], command)
shown = b""
while True:
    try:
        part = os.read(terminal, 65536)
    except OSError:  # it has ended
        break
    if not part:
        break
    shown += part
sys.stdout.buffer.write(shown.replace(b"\r\n", b"\n"))
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
