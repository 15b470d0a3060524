"""Measures the CPU that the rush itself takes for a request: `python tests/rush/measure_cpu.py [buyers] [connections]`.

Not a test: the figure depends on the machine. The server is the least that can answer, so that it is not the bottleneck.
"""

import multiprocessing
import os
import selectors
import socket
import sys
import tempfile
from pathlib import Path

from scripted_server import SALE_ID, Reply, order

from app.rush.options import RushOptions
from app.rush.plan import Shares
from app.rush.runner import run_rush
from app.rush.tokens import FileTokens

TOKEN = "t" * 600
"""As long as a signed token is."""


def serve(listener: socket.socket) -> None:
    """Answers every request with the same order, on one event loop; ends with the process that started it."""
    sale = Reply(200, {"phase": "open", "limit_per_customer": 5, "unit_price_minor": 49900}).as_bytes()
    taken = Reply(201, order("0b8a6a0e-66a7-5d0c-9c57-1f5f0b8a6a0e"), {"Date": "now", "Server": "small"}).as_bytes()
    parent = os.getppid()
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    listener.setblocking(False)
    while os.getppid() == parent:
        for key, _ in selector.select(1.0):
            if key.fileobj is listener:
                connection, _ = listener.accept()
                selector.register(connection, selectors.EVENT_READ, connection)
                continue
            try:
                data = key.data.recv(65_536)  # a request is one segment on the loopback
                if data:
                    key.data.send(sale if data.startswith(b"GET") else taken)
                    continue
            except ConnectionError:
                pass  # hung up on purpose
            selector.unregister(key.data)
            key.data.close()


def main(buyers: int, connections: int) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(listener,), daemon=True)
    server.start()
    with tempfile.TemporaryDirectory() as folder:
        tokens = Path(folder) / "tokens.tsv"
        tokens.write_text("".join(f"buyer-{index:07d}\t{TOKEN}\n" for index in range(buyers)))
        for name, shares in {"plain": Shares(), "mixed": Shares(0.02, 0.02, 0.01, 0.02, 0.1)}.items():
            options = RushOptions(
                sale_id=SALE_ID,
                tokens=FileTokens(tokens),
                answers=Path(folder) / "rush.jsonl",
                url=f"http://127.0.0.1:{listener.getsockname()[1]}",
                buyers=buyers,
                processes=1,
                connections=connections,
                shares=shares,
            )
            report = run_rush(options)
            print(
                f"{name}: {report.generator_cpu_us_per_attempt:.1f} µs of CPU an attempt, "
                f"{report.answers_per_second:,.0f} answers/s over {connections} connections"
            )
    server.terminate()
    server.join()


if __name__ == "__main__":
    main(*(int(argument) for argument in (*sys.argv[1:], "50000", "128")[:2]))
