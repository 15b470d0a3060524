"""`fairdrop emulator`: starts and stops the emulators. The commands live in the `emulator` package, which knows no app."""

from emulator.commands import emulator

__all__ = ["emulator"]
