"""The history's witnesses, when they are there: recording clients, looks at the database, and the judge, as child processes.

They live beside the tests and share no code with the service, so that what both would get wrong is not overlooked by both; they
are therefore started by their path, and an installation without the repository has none.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from app.http.local_issuer import LocalIssuer
from app.local.children import Child, ChildFailed
from app.settings import Settings

COMMAND = Path(__file__).parents[2] / "tests" / "history" / "witness.py"

RECORDERS = 2
CUSTOMERS_PER_SECOND = 8.0
"""Of each recorder: beside the rush, whose buyers are many and simple, these do all that a customer may."""

LOOK_EVERY_SECONDS = 1.0
END_SECONDS = 120.0
JUDGE_SECONDS = 600.0


def are_there() -> bool:
    """Whether there are witnesses."""
    return COMMAND.is_file()


@dataclass
class Witnesses:
    """What they write is in `folder`."""

    settings: Settings
    environment: Mapping[str, str]
    sale_id: str
    url: str
    folder: Path
    _recorders: list[Child] = field(default_factory=list)

    @contextmanager
    def watching(self, seed: int, seconds: float) -> Iterator[None]:
        """Recorders and a watcher for the length of a block; they play for `seconds`, and are waited for at its end."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in self.folder.glob("*.json*"):
            old.unlink()
        with ExitStack() as stack:
            watcher = self._start("watch", "--every", str(LOOK_EVERY_SECONDS))
            stack.callback(watcher.stop)
            for number in range(RECORDERS):
                self._recorders.append(self._recorder(number, seed, seconds))
                stack.callback(self._recorders[-1].stop)
            yield
            for recorder in self._recorders:
                _finish(recorder, seconds + END_SECONDS)

    def verdict(self) -> dict[str, Any]:
        """Gather the evidence, at rest, and judge. Raises ChildFailed when that cannot be done."""
        _finish(self._start("gather"), JUDGE_SECONDS)
        judge = self._start("judge", "--settled", "--verdict", str(self.folder / "verdict.json"))
        _finish(judge, JUDGE_SECONDS, allowed=(0, 1))
        verdict: dict[str, Any] = orjson.loads((self.folder / "verdict.json").read_bytes())
        return verdict

    def _recorder(self, number: int, seed: int, seconds: float) -> Child:
        issuer = LocalIssuer.load(self.settings)
        names = [f"witness-{number}-{place}" for place in range(int(CUSTOMERS_PER_SECOND * seconds))]
        tokens = self.folder / f"tokens-{number}.json"
        tokens.write_bytes(orjson.dumps({name: issuer.token(name) for name in names}))
        options = ("--tokens", str(tokens), "--url", self.url, "--seed", f"{seed + number}", "--seconds", str(seconds))
        return self._start("load", *options, "--process", str(number))

    def _start(self, command: str, *options: str) -> Child:
        arguments: Sequence[str] = (sys.executable, str(COMMAND), command, "--folder", str(self.folder))
        log = self.settings.state_dir / "logs" / "witness.log"
        return Child(f"witness {command}", [*arguments, "--sale", self.sale_id, *options], self.environment, log)


def _finish(child: Child, seconds: float, allowed: Sequence[int] = (0,)) -> None:
    code = child.wait(seconds)
    if code not in allowed:
        raise ChildFailed(f"{child.name} did not end well ({code}):\n{child.log_tail()}")
