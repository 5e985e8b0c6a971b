import subprocess
import sys

from integrations.call import Call
from integrations.http import pool, send
from integrations.sandbox.process import RunningSandbox
from tests.integrations.http.raw import answering, response

# A parent and its forked child ask at the same time; each must get its own answers.
FORK = """
import os, sys
from integrations import http
from integrations.call import Call

def ask(name, times):
    for number in range(times):
        call = Call.within(10, "inventory", "find", writes=False)
        path = f"/nowhere/{name}-{number}"
        reply = http.send(call, "GET", sys.argv[1] + path)
        assert reply.status == 404, reply

ask("before", 2)
child = os.fork()
if child == 0:
    try:
        inherited = http.pool.client.cache_info().currsize
        ask("child", 200)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        os._exit(1)
    os._exit(2 if inherited else 0)
ask("parent", 200)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def get(sandbox: RunningSandbox) -> None:
    send(Call.within(5, "inventory", "find", writes=False), "GET", f"{sandbox.address}/nowhere")


def test_a_forked_process_does_not_share_its_parents_connections(sandbox: RunningSandbox) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", FORK, sandbox.address], capture_output=True, text=True, timeout=60
    )
    assert (finished.returncode, finished.stderr) == (0, "")


def test_connections_are_kept_for_the_next_call(sandbox: RunningSandbox) -> None:
    pool.client().close()
    pool.client.cache_clear()
    for _ in range(3):
        get(sandbox)
    transport = pool.client()._transport
    assert isinstance(transport, pool.Transport)
    (connection,) = transport.connections
    assert "Request Count: 3" in connection


def test_no_cookie_of_one_call_goes_with_another() -> None:
    seen: list[bytes] = []
    answer = response(b"{}", "200 OK", "Set-Cookie: session=first-account; Path=/")
    with answering(answer, seen=seen) as address:
        for _ in range(2):
            send(Call.within(5, "inventory", "find", writes=False), "GET", address)
    assert len(seen) == 2
    assert b"cookie" not in seen[1].lower()
