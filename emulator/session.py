"""`running`: the emulators for the time of a `with` block, for tests and benchmarks."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from emulator.errors import EmulatorNotOurs
from emulator.handle import Emulator, OwnEmulator
from emulator.kinds import PUBSUB, SPANNER, Kind
from emulator.lookup import Machine, find


@dataclass(frozen=True)
class Emulators:
    """The emulators of a `running` block; None for one that was not asked for."""

    spanner: Emulator | None
    pubsub: Emulator | None

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which the client libraries find them: SPANNER_EMULATOR_HOST, PUBSUB_EMULATOR_HOST."""
        return {each.kind.variable: each.host for each in (self.spanner, self.pubsub) if each is not None}


def state_folder(environ: Mapping[str, str]) -> Path:
    """Where logs and the record of `up` are: `emulator` in FAIRDROP_STATE_DIR, by default `.fairdrop`."""
    return Path(environ.get("FAIRDROP_STATE_DIR") or ".fairdrop").absolute() / "emulator"


@contextmanager
def running(
    *,
    spanner: bool = True,
    pubsub: bool = False,
    spanner_arguments: Sequence[str] = (),
    fresh: bool = False,
    machine: Machine | None = None,
) -> Iterator[Emulators]:
    """Starts the emulators asked for on free ports of 127.0.0.1 and yields them when they answer; ends them afterwards.

    One whose host is in the environment is used as is and never stopped, unless `fresh` asks for our own in any case.
    They end with the block, with Ctrl-C, and with this process, even by `kill -9`. `spanner_arguments` are gateway_main's,
    such as `--enable_fault_injection`. `os.environ` is not changed: export `environment` where it is wanted.

    Raises EmulatorNotFound (what to install), EmulatorDied (with the tail of the log), ArchiveRefused, and EmulatorNotOurs
    when arguments are asked of a given emulator.
    """
    machine = machine or Machine()
    wanted = [kind for kind, is_wanted in ((SPANNER, spanner), (PUBSUB, pubsub)) if is_wanted]
    given = {} if fresh else {kind: host for kind in wanted if (host := machine.environ.get(kind.variable))}
    if SPANNER in given and spanner_arguments:
        raise EmulatorNotOurs(
            f"{SPANNER.variable} is set, so {' '.join(spanner_arguments)} cannot be passed: unset it, or ask for a fresh one"
        )
    sources = find([kind for kind in wanted if kind not in given], machine)
    log_dir = state_folder(machine.environ)
    with ExitStack() as stack:
        ours: dict[Kind, OwnEmulator] = {}
        for kind, source in sources.items():
            ours[kind] = OwnEmulator(kind, source, spanner_arguments if kind is SPANNER else (), log_dir)
            stack.callback(ours[kind].kill)
        for each in ours.values():
            each.wait_until_ready()
            stack.callback(each.end)
        handles: dict[Kind, Emulator] = {kind: Emulator(kind, host) for kind, host in given.items()} | dict(ours)
        yield Emulators(handles.get(SPANNER), handles.get(PUBSUB))
