"""Puts workflows into the queue, through DBOS's client, as a web process would."""

import os

from dbos import DBOSClient, EnqueueOptions

from bench import statements
from bench.starter import serve
from bench.transact.workflow import QUEUE, four_steps

statements.count_if_asked()


def main() -> None:
    """Start workflows until standard input ends."""
    client = DBOSClient(system_database_url=os.environ["DATABASE_URL"])
    options: EnqueueOptions = {"workflow_name": four_steps.__qualname__, "queue_name": QUEUE}
    serve(lambda failing: client.enqueue(options, failing))
    client.destroy()


if __name__ == "__main__":
    main()
