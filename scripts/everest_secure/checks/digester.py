"""Program of `checks.hashing`: writes the SHA-256, in hex, of each open file whose descriptor's number it is given, or `!` and an error's number; a line for each.

Standard library alone, and little of it: it is started without this package, and without the interpreter's site.
"""

import hashlib
import os
import signal
import sys


def main() -> None:
    """Hash one file after the other."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in sys.argv[1:]:
        try:
            with os.fdopen(int(number), "rb") as file:
                said = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            said = f"!{error.errno}"
        os.write(sys.stdout.fileno(), f"{said}\n".encode())


if __name__ == "__main__":
    main()
