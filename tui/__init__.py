"""The front ends: the terminal app and the command line. They send requests to the engine and show its events."""

import sys
from pathlib import Path

# Other projects may also have a package named `engine`, and it may come first on the path. Import the one next to this
# package.
sys.path.insert(0, str(Path(__file__).parent.parent))
try:
    import engine  # noqa: F401
finally:
    del sys.path[0]
