"""What ``python -m dualstyle`` runs."""

import sys

from dualstyle.cli import main

if __name__ == "__main__":
    sys.exit(main())
