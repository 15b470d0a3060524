"""What can go wrong with an emulator, each with a message that a person can act on."""


class EmulatorError(Exception):
    """Anything that keeps an emulator from running; its message is meant to be shown as it is."""


class EmulatorNotFound(EmulatorError):
    """No way to run an emulator was found on this machine; the message says what to install."""


class EmulatorDied(EmulatorError):
    """The emulator ended, or never answered; before it was ready the message ends with the tail of its log."""


class EmulatorNotOurs(EmulatorError):
    """The emulator was given by the environment, so it is not ours to control."""


class ArchiveRefused(EmulatorError):
    """A downloaded archive is not the one that was pinned; nothing of it was unpacked."""
