"""The app: ``python app.py`` serves the page on this machine; see ``--help``."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the page until it is stopped; returns the exit code."""
    args = _parse(argv)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # idle threads must not burn a shared CPU
    from dualstyle.cli.console import pick_device
    from dualstyle.errors import DualStyleError
    from dualstyle.memory import keep_freed_memory
    from dualstyle.native import kernels
    from dualstyle.sources import library_at_home
    from dualstyle.stylizer import Stylizer
    from dualstyle.ui.layout import build_demo, launch_options

    keep_freed_memory()
    try:
        library = library_at_home(source=args.source)
        if args.domain is not None:
            library.files(args.domain)  # fetched now, if need be, and not while a visitor waits
        stylizer = Stylizer(library, device=pick_device(args.device), precision=args.precision)
        demo = build_demo(stylizer, library.catalogue, domain=args.domain)
        options = launch_options(stylizer, library.catalogue)
    except DualStyleError as error:
        return _failed(str(error))
    demo.launch(server_name=args.host, server_port=args.port, prevent_thread_lock=True, **options)
    # Compiled on the first start of all, for some ten seconds: while a visitor still looks around.
    threading.Thread(target=kernels, daemon=True).start()
    demo.block_thread()
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Serve the page.", allow_abbrev=False)
    parser.add_argument(
        "--source",
        metavar="FOLDER|REPO",
        help="where the weights are: a folder in the official layout, or a repository of the hub",
    )
    parser.add_argument(
        "--host",
        help="address to listen on (default: GRADIO_SERVER_NAME, else this machine alone)",
    )
    parser.add_argument(
        "--port", type=int, help="port to listen on (default: GRADIO_SERVER_PORT, else 7860 on)"
    )
    parser.add_argument(
        "--domain", help="begin with this domain; it is fetched first if it is not here"
    )
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto"
    )
    parser.add_argument(
        "--precision",
        choices=("auto", "fp32", "mixed", "half"),
        default="auto",
        help="auto: mixed where the CPU has bfloat16 units, else fp32",
    )
    return parser.parse_args(argv)


def _failed(message: str) -> int:
    sys.stderr.write(f"app.py: {' '.join(message.split())}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
