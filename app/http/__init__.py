"""Requests and responses: views parse, call a service, answer. Nothing is decided here."""

ON_EXIT = "fairdrop.on_exit"
"""The app's extension that a worker calls when it is told to end, so that nobody waits in it any longer. Its name is kept here,
since a worker must not import the app before it has forked."""

GATE = "fairdrop.gate"
"""The app's extension that a worker asks whether one more order would be too many (`porter.Gate`)."""

AT_THE_END = "fairdrop.at_the_end"
"""As above, when the last request has been answered."""
