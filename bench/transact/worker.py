"""One worker process: `worker.py NAME direct|queue`. With `direct` it starts its own workflows."""

import sys

from dbos import DBOS

from bench.starter import serve
from bench.transact.workflow import QUEUE, four_steps, launch

#: Of 2, 4, 8, 16 and 32 the fastest, or no slower than the fastest, on two cores.
THREADS = 8
#: Shorter ones were slower: the polls of both workers conflict.
POLL_SECONDS = 0.1


def main(name: str, how: str) -> None:
    """Work until standard input ends."""
    launch(name, THREADS)
    if how == "queue":
        DBOS.register_queue(QUEUE, worker_concurrency=THREADS, polling_interval_sec=POLL_SECONDS)
    serve(lambda failing: DBOS.start_workflow(four_steps, failing))
    DBOS.destroy()


if __name__ == "__main__":
    main(*sys.argv[1:])
