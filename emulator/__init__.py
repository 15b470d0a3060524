"""Starts and stops the Spanner and Pub/Sub emulators: `running` for programs, `python -m emulator` for people.

Nothing here knows the application; nothing of the application is imported.
"""

from emulator.errors import ArchiveRefused, EmulatorDied, EmulatorError, EmulatorNotFound, EmulatorNotOurs
from emulator.handle import Emulator
from emulator.session import Emulators, running

__all__ = [
    "ArchiveRefused",
    "Emulator",
    "EmulatorDied",
    "EmulatorError",
    "EmulatorNotFound",
    "EmulatorNotOurs",
    "Emulators",
    "running",
]
