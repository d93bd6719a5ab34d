"""Types into an interactive shell on a terminal of its own, Tab and Enter included, and waits for what is expected.

    tab.py EXPECTED TYPED SETUP... -- SHELL ARGUMENT...

SETUP lines are run first. Ends with 0 as soon as EXPECTED is on the screen, with 1 if the shell ends or a minute passes
before; then prints what was on the screen.
"""

import os
import pty
import re
import select
import sys
import time

LIMIT = 60
READY = "set-up-is-done"
# What moves the cursor, colours, or asks the terminal something.
CONTROL = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[()#][0-9A-Za-z]|[=>78cDEHMNOZ])")


def read_until(terminal, wanted, screen, deadline):
    """Reads until `wanted` has been written to the terminal since `screen` was empty."""
    while wanted not in CONTROL.sub("", screen[0]):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([terminal], [], [], left)[0]:
            return False
        try:
            got = os.read(terminal, 65536)
        except OSError:  # the shell has ended
            return False
        screen[0] += got.decode(errors="replace")
    return True


def main():
    split = sys.argv.index("--")
    expected, typed, *setup = sys.argv[1:split]
    shell = sys.argv[split + 1 :]
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(TERM="xterm", COLUMNS="200", LINES="50")
        os.execvp(shell[0], shell)
    deadline = time.monotonic() + LIMIT
    screen = [""]
    # Written in two parts, so that the echo of the line is not taken for what it prints.
    ready = f"echo {READY[:6]}''{READY[6:]}"
    for line in [*setup, ready]:
        os.write(terminal, line.encode() + b"\r")
    ok = read_until(terminal, READY, screen, deadline)
    if ok:
        screen[0] = ""
        os.write(terminal, typed.encode())
        ok = read_until(terminal, expected, screen, deadline)
    if not ok:
        print(f"no {expected!r} on the screen of {shell[0]}:", repr(screen[0]))
    os.kill(child, 9)
    os.waitpid(child, 0)
    return 0 if ok else 1


sys.exit(main())
