"""`python -m emulator`: the same commands as `fairdrop emulator`, without the application."""

from emulator.commands import emulator

if __name__ == "__main__":
    emulator(prog_name="python -m emulator")
