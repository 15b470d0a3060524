"""All workers of the service in one process, each in a thread: `python history_host.py`, until SIGTERM. Not of the checker."""

import logging
import signal
import sys
import threading

from app.settings import load_settings
from app.workers import deadlines, payments, relay, settlement


def main() -> int:
    logging.basicConfig(level=logging.INFO)
    settings, stop = load_settings(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    workers = (relay.orders_relay, relay.payments_relay, payments.run, settlement.run, deadlines.run)
    threads = [threading.Thread(target=worker, args=(settings, stop), daemon=True) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
