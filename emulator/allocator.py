"""A faster malloc for the Spanner emulator, when the machine has one.

emulator_main is linked against the system's malloc, and allocates for every cell of every version of every row: with
another one an order costs it a quarter to a third less processor time than with glibc's, and keeps to that as it fills
(docs/emulators.md). tcmalloc and mimalloc are made to stand in for it by being loaded first (LD_PRELOAD, ld.so(8)).
"""

import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

VARIABLE = "LD_PRELOAD"

LIBRARIES = ("libtcmalloc_minimal.so.4", "libtcmalloc.so.4", "libmimalloc.so.2", "libmimalloc.so.3")
"""In this order; Debian's packages libtcmalloc-minimal4, libgoogle-perftools4t64 and libmimalloc."""

LIBRARY_PLACES = (
    tuple(Path(place) for place in (f"/usr/lib/{platform.machine()}-linux-gnu", "/usr/lib64", "/usr/local/lib"))
    if sys.platform == "linux"
    else ()
)


def find_allocator(environ: Mapping[str, str], places: Sequence[Path]) -> Path | None:
    """The library to load first; None when there is none, or when somebody has chosen by LD_PRELOAD what is loaded."""
    if environ.get(VARIABLE):
        return None
    candidates = (place / name for name in LIBRARIES for place in places)
    return next((library for library in candidates if library.is_file()), None)
