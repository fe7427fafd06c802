"""What ``python -m dualstyle`` runs."""

import sys

from dualstyle.cli import main
from dualstyle.memory import keep_freed_memory

if __name__ == "__main__":
    keep_freed_memory()
    sys.exit(main())
