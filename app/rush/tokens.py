"""Where the buyers' bearer tokens come from. Each process takes the tokens of its own buyers before the rush begins."""

from array import array
from pathlib import Path
from typing import IO, Protocol


class TokenSource(Protocol):
    """Gives every buyer a customer id (the token's `sub`) and a token. Must be picklable before its first use."""

    def token(self, index: int) -> tuple[str, str]:
        """(customer id, token) of buyer `index`; the same customer for the same index, always. May raise RuntimeError."""
        ...


class TokensError(RuntimeError):
    """There is no token for a buyer; the message says why and is meant for the person at the keyboard."""


class FileTokens:
    """Tokens from a text file with one `customer<TAB>token` line a buyer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._offsets: array[int] = array("Q")

    def token(self, index: int) -> tuple[str, str]:
        """The line `index` of the file (0 is the first). Raises TokensError if it is not there or malformed."""
        if self._file is None:
            self._file = self._open()
        if index >= len(self._offsets):
            raise TokensError(f"{self._path} has {len(self._offsets)} tokens, too few for buyer {index}")
        self._file.seek(self._offsets[index])
        customer_id, tab, token = self._file.readline().decode().rstrip("\r\n").partition("\t")
        if not tab or not customer_id or not (token.isascii() and token.isprintable()) or not token or " " in token:
            raise TokensError(f"{self._path}, line {index + 1}: not a customer, a tab and a token")
        return customer_id, token

    def _open(self) -> IO[bytes]:
        """Remembers where each line begins and not the lines: a million tokens are 600 MB."""
        try:
            file = self._path.open("rb")
        except OSError as error:
            raise TokensError(f"{self._path}: {error.strerror}") from error
        offset = 0
        for line in file:
            self._offsets.append(offset)
            offset += len(line)
        return file
