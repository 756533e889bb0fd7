"""The front ends: the terminal application and the command line. They ask the engine's lab and show its events."""

import sys
from pathlib import Path

# `engine` is a name that many a project's folder has too, and such a folder may stand first on the path: ours is the
# one beside this package.
sys.path.insert(0, str(Path(__file__).parent.parent))
try:
    import engine  # noqa: F401
finally:
    del sys.path[0]
