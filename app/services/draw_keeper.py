"""Draws that happen without a person: one at a time in this process, in a thread of its own, so that nothing else waits for it."""

import logging
import threading

from app.domain.draw import DrawBroken
from app.domain.errors import FairdropError
from app.services.draw import draw
from app.storage.database import FairdropDatabase, snapshot
from app.storage.draw import is_drawn

_log = logging.getLogger(__name__)


class DrawKeeper:
    """Draws the lotteries it is told of. Not thread-safe but for its own thread; one loop owns it.

    A draw that fails, or whose process dies, is begun again by whoever asks for it next, and goes on where it stopped.
    """

    def __init__(self, database: FairdropDatabase, writer: str) -> None:
        """No call is made yet."""
        self._database = database
        self._writer = writer
        self._drawn: set[str] = set()
        self._thread: threading.Thread | None = None

    def is_drawn(self, sale_id: str) -> bool:
        """Whether the lottery is drawn to the end. Raises StorageUnavailable."""
        if sale_id not in self._drawn:
            with snapshot(self._database) as reads:
                if is_drawn(reads, sale_id):
                    self._drawn.add(sale_id)
        return sale_id in self._drawn

    def begin(self, sale_id: str) -> None:
        """Begin to draw a lottery, unless a draw is under way in this process."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._draw, args=(sale_id,), name=f"draw {sale_id}", daemon=True)
            self._thread.start()

    def _draw(self, sale_id: str) -> None:
        try:
            record = draw(self._database, sale_id, self._writer)
        except DrawBroken as error:
            _log.error("%s", error)
        except FairdropError as error:
            _log.warning("sale %s is not drawn yet: %s", sale_id, error or type(error).__name__)
        except Exception:
            _log.exception("the draw of sale %s failed", sale_id)
        else:
            _log.info("sale %s is drawn: %d of %d entries won", sale_id, record.won_orders, record.entries or 0)
