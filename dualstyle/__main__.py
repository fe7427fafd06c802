"""What ``python -m dualstyle`` runs."""

import os
import sys

if __name__ == "__main__":
    # Read when torch is imported: idle threads must not take cores from busy ones.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from dualstyle.cli import main
    from dualstyle.memory import keep_freed_memory

    keep_freed_memory()
    sys.exit(main())
