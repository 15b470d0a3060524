"""The recorders and the judge as a command: `python tests/history/witness.py load|watch|gather|judge --help`.

A command of its own, and not one of `fairdrop`: it shares no code with the service, and the service's drills run it as a child
process. The client library of Spanner is loaded only by those that read the database.
"""

import argparse
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import history_load

EXIT_BROKEN = 1


def main() -> int:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    load = commands.add_parser("load", help="play customers, and record every call")
    load.add_argument("--plan", type=Path, help="a plan with its clients; without one a crowd is made up")
    load.add_argument("--tokens", type=Path, help="JSON: a token for each customer of the crowd")
    load.add_argument("--url", action="append", default=[])
    load.add_argument("--seed", type=int, default=1)
    load.add_argument("--seconds", type=float, default=30.0)
    load.add_argument("--clients", type=int, default=24)
    load.add_argument("--process", default="0", help="the name of this recorder")
    looks = commands.add_parser("watch", help="look at the database again and again until SIGTERM")
    looks.add_argument("--every", type=float, default=0.5, metavar="SECONDS")
    gather = commands.add_parser("gather", help="read the database and the book at the end")
    gather.add_argument("--no-money", action="store_true")
    verdict = commands.add_parser("judge", help="hold the history against the rules; exit code 1 when one is broken")
    verdict.add_argument("--settled", action="store_true", help="nothing may be under way any more")
    verdict.add_argument("--verdict", type=Path, help="where the verdict goes, as JSON")
    for command in (load, looks, gather, verdict):
        command.add_argument("--folder", type=Path, required=True, help="where the history is kept")
        command.add_argument("--sale", required=True)
    options = parser.parse_args()
    return int({"load": _load, "watch": _watch, "gather": _gather, "judge": _judge}[options.command](options))


def _load(options: argparse.Namespace) -> int:
    if options.plan is not None:
        plan = json.loads(options.plan.read_bytes())
        # Several recorders begin together, when they are told the moment.
        print("ready", flush=True)
        plan["start_ns"] = int(sys.stdin.readline())
    else:
        tokens = json.loads(options.tokens.read_bytes())
        clients = history_load.crowd(list(tokens), options.seed, options.seconds, options.clients)
        plan = {"sale": options.sale, "urls": options.url, "tokens": tokens, "clients": clients}
    history_load.play(plan, options.process, options.folder / f"calls-{options.process}.jsonl")
    return 0


def _watch(options: argparse.Namespace) -> int:
    from history_evidence import Evidence, watch

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    watch(Evidence(os.environ, options.sale), options.folder / f"looks-{time.time_ns()}.jsonl", stop, options.every)
    return 0


def _gather(options: argparse.Namespace) -> int:
    from history_evidence import Evidence

    final = Evidence(os.environ, options.sale).gather(with_money=not options.no_money)
    (options.folder / "final.json").write_text(json.dumps(final))
    return 0


def _judge(options: argparse.Namespace) -> int:
    from history_judge import judge
    from history_records import read_history

    verdict = judge(read_history(options.folder, settled=options.settled))
    text = json.dumps(verdict.as_json(), indent=1)
    if options.verdict is not None:
        options.verdict.write_text(text)
    else:
        print(text)
    return EXIT_BROKEN if verdict.violations else 0


if __name__ == "__main__":
    sys.exit(main())
