"""The program, for the Python of the servers. Its arguments are SCRIPT FOLDER LOCK PATIENCE MODULES PADDING.

SCRIPT is what servers run, and FOLDER has the socket. LOCK is a descriptor that this process holds as long as it lives.
PADDING is the place for the command lines of servers.
"""

import os
import signal
import socket
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])
from fork_server import linux, loading, server  # noqa: E402 found by the line before


def main() -> int:
    """Load the packages, serve, and return the exit code; in a child, that of the server that it became."""
    script, folder, lock = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    patience, modules = float(sys.argv[4]), sys.argv[5].split(",")
    os.set_inheritable(lock, False)
    sys.argv = [script]
    sys.path[0] = str(Path(script).resolve().parent)  # as Python does for a script
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        loaded = loading.load(modules, folder)
    except (ImportError, loading.UnfitError) as why:
        (draft := folder / "unfit.new").write_text(str(why), encoding="utf-8")
        draft.replace(folder / "unfit")  # the hub may look at any moment
        return 1
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    os.chdir(folder)  # an address has 107 bytes at most (unix(7))
    listener.bind("socket.new")
    listener.listen(socket.SOMAXCONN)
    Path("socket.new").replace("socket")  # only now can it be found
    os.chdir("/")
    linux.set_title([sys.executable, "fork_server", script, str(folder)])
    child = server.ForkServer(listener, lock, loaded, patience).serve()
    return 0 if child is None else child.become()


if __name__ == "__main__":
    sys.exit(main())
