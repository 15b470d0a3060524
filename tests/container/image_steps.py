"""The Dockerfile's steps without a Docker engine: each COPY and RUN is done in a folder that stands for the image's root."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
ABSOLUTE = re.compile(r"(?<![\w.:/-])(/(?:opt/fairdrop|srv/fairdrop|build|tmp)\b)")
PIP = re.compile(r"^python -m pip --python (\S+) install .*--no-deps --require-hashes --only-binary=:all: .*-r (\S+)$")
QUIETLY = r"python -m pip --python \1 install --quiet --no-deps --require-hashes --only-binary=:all: -r \2"
"""The same wheels by the same hashes, from whatever index this machine's pip is set to, and its cache."""


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction, with its continued lines as one."""

    name: str
    text: str


def steps(dockerfile: Path = REPOSITORY / "Dockerfile") -> list[Step]:
    lines = [line for line in dockerfile.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Step(*line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def stages() -> list[list[Step]]:
    """The steps of each stage, which begins with its FROM."""
    found: list[list[Step]] = []
    for step in steps():
        if step.name == "FROM":
            found.append([])
        found[-1].append(step)
    return found


def is_ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path of the repository out: the last line that matches decides."""
    ignored = False
    for line in (REPOSITORY / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").strip()
        if not pattern or pattern.startswith("#"):
            continue
        parts = Path(path).parts
        heads = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
        anywhere = pattern.removeprefix("**/")
        if any(fnmatch(head, pattern) for head in heads) or (
            pattern != anywhere and any(fnmatch(part, anywhere) for part in parts)
        ):
            ignored = not line.startswith("!")
    return ignored


class Image:
    """What the steps have made, below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment: dict[str, str] = {}
        self.folder = "/"
        self.entrypoint: list[str] = []
        self.command: list[str] = []
        self.user = ""

    def build(self) -> "Image":
        """Do every step of both stages; the second stage takes from the first what it copies, which is there already."""
        for number, stage in enumerate(stages()):
            for step in stage:
                self._do(step, is_last=number == 1)
        return self

    def here(self, text: str) -> str:
        """A text of the image with its paths below the root."""
        return ABSOLUTE.sub(lambda found: str(self.root) + found[1], text)

    def _do(self, step: Step, *, is_last: bool) -> None:
        if step.name == "WORKDIR":
            self.folder = step.text
            Path(self.here(step.text)).mkdir(parents=True, exist_ok=True)
        elif step.name == "RUN":
            assert not is_last, "the second stage runs nothing, so that it only holds what was built"
            command = self.here(PIP.sub(QUIETLY, step.text))
            command = re.sub(r"^python\b", shlex.quote(sys.executable), command)
            subprocess.run(["sh", "-euc", command], cwd=self.here(self.folder), check=True, timeout=600)
        elif step.name == "COPY" and not step.text.startswith("--from=build "):
            self._copy(*step.text.split())
        elif step.name == "COPY":
            source, target = step.text.removeprefix("--from=build ").split()
            assert source == target
            assert Path(self.here(source)).exists()
        elif step.name == "ENV":
            self.environment |= dict(one.split("=", 1) for one in shlex.split(step.text))
        elif step.name == "USER":
            self.user = step.text
        elif step.name == "ENTRYPOINT":
            self.entrypoint = json.loads(step.text)
        elif step.name == "CMD":
            self.command = json.loads(step.text)
        else:
            assert step.name in ("FROM", "EXPOSE")

    def _copy(self, source: str, target: str) -> None:
        assert not is_ignored(source), f"{source} is kept out by .dockerignore"
        into = Path(self.here(target if target.startswith("/") else f"{self.folder}/{target}"))
        origin = REPOSITORY / source
        if origin.is_dir():
            shutil.copytree(
                origin, into, ignore=lambda at, names: [one for one in names if is_ignored(_inside(at, one))]
            )
        elif target.endswith("/"):
            shutil.copy(origin, into / origin.name)
        else:
            shutil.copy(origin, into)


def _inside(folder: str, name: str) -> str:
    return str((Path(folder) / name).relative_to(REPOSITORY))
