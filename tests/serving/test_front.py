"""The front before the real Cog server: many clients, faults of the server, what is refused, what is counted."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

import pytest
from cog_client import PROMPT, START_SECONDS, Server, Stream, free_port, serve_command, serving_process, wait_for
from test_pictures import dribbling

from jsd.serving.front.requests import read_request
from jsd.serving.settings import NOTES

REQUESTS = int(os.environ.get("JSD_TEST_REQUESTS", 100))
LONG = {**PROMPT, "num_inference_steps": 500, "width": 64, "height": 64}


@pytest.fixture(scope="module")
def other(toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with room for two that wait, bounds, and its log as it is by default."""
    arguments = ("--weights", toy_folder, "--queue", 2, "--queue-seconds", 60, "--max-megapixel-steps", 0.2)
    with serving_process(tmp_path_factory.mktemp("other"), *arguments) as server:
        yield server


def figure(server: Server, name: str) -> float:
    with urlopen(f"{server.url}/metrics", timeout=60) as response:
        found = re.search(rf"^{re.escape(name)} (\S+)$", response.read().decode(), re.MULTILINE)
    return float(found[1]) if found else 0.0


def worker(server: Server) -> int:
    """The process that draws."""
    (cog,) = children(server.process.pid)
    (found,) = children(cog)
    return found


def children(pid: int) -> list[int]:
    """Of every thread of the process."""
    return [int(one) for path in Path(f"/proc/{pid}/task").glob("*/children") for one in path.read_text().split()]


def test_many_immediate_requests_are_all_answered(server: Server) -> None:
    answers = [server.run({**PROMPT, "num_inference_steps": 1}) for _ in range(REQUESTS)]
    assert {(status, answer["status"]) for status, answer in answers} == {(200, "succeeded")}


def test_eight_clients_at_once_are_answered_in_the_order_in_which_they_came(server: Server) -> None:
    first = Stream(server, {**LONG, "num_inference_steps": 60}, "first")
    done: list[int] = []

    def ask(number: int) -> None:
        assert server.run({**PROMPT, "num_inference_steps": 1})[1]["status"] == "succeeded"
        done.append(number)

    threads = []
    for number in range(8):
        threads.append(threading.Thread(target=ask, args=(number,)))
        threads[-1].start()
        wait_for(lambda number=number: figure(server, "jsd_waiting") == number + 1)
    assert list(first)[-1][1]["status"] == "succeeded"
    first.close()
    for thread in threads:
        thread.join()
    assert done == list(range(8))


def test_one_more_than_may_wait_gets_429_and_when_to_come_again(other: Server) -> None:
    refused = figure(other, 'jsd_refused_total{reason="full"}')
    stream = Stream(other, {**PROMPT, "num_inference_steps": 100}, "long")
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(other.run, PROMPT) for _ in range(2)]
        wait_for(lambda: figure(other, "jsd_waiting") == 2)
        status, answer, headers = other.ask("POST", "/predictions", {"input": PROMPT})
        assert status == 429 and answer["detail"], answer
        assert int(headers["retry-after"]) >= 1
        assert other.request("POST", "/predictions/long/cancel")[0] == 200
        list(stream)
        stream.close()
        assert [one.result()[1]["status"] for one in waiting] == ["succeeded"] * 2
    assert figure(other, 'jsd_refused_total{reason="full"}') == refused + 1


def test_one_that_waits_can_be_cancelled_or_go_away(server: Server) -> None:
    stream = Stream(server, LONG, "drawn")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(server.request, "PUT", "/predictions/waits", {"input": PROMPT})
        wait_for(lambda: figure(server, "jsd_waiting") == 1)
        assert server.request("GET", "/predictions/waits")[1] == {"id": "waits", "status": "starting"}
        assert server.request("POST", "/predictions", {"id": "waits", "input": PROMPT})[0] == 409
        assert server.request("POST", "/predictions/waits/cancel")[0] == 200
        assert waiting.result()[1]["status"] == "canceled"
    with pytest.raises(TimeoutError):
        server.ask("POST", "/predictions", {"input": PROMPT}, timeout=0.5)
    wait_for(lambda: figure(server, "jsd_waiting") == 0)
    assert server.request("POST", "/predictions/drawn/cancel")[0] == 200
    assert list(stream)[-1][1]["status"] == "canceled"
    stream.close()
    assert server.request("POST", "/predictions/drawn/cancel")[0] == 404


@pytest.mark.parametrize("name", ["x" * 129, "a/b", "../x", "..", "", "a b", "é", "a%2Fb", 7])
def test_an_id_that_would_block_cogs_slot_is_422(server: Server, name: object) -> None:
    status, answer = server.request("POST", "/predictions", {"id": name, "input": PROMPT})
    assert (status, answer["detail"][0]["loc"]) == (422, ["body", "id"]), answer
    assert server.predict()["output"]


def test_ids_in_the_address_follow_the_same_rule(server: Server) -> None:
    for name in ("x" * 129, "a%2Fb", "a/b", "%2e%2e"):
        assert server.request("PUT", f"/predictions/{name}", {"input": PROMPT})[0] == 422, name
    name = "A-z_0.9" + "x" * 121
    status, answer = server.request("PUT", f"/predictions/{name}", {"input": PROMPT})
    assert (status, answer["id"]) == (200, name)
    assert server.request("PUT", "/predictions/one", {"id": "two"})[0] == 422


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"{", ""),
        (b"[]", ""),
        (b"[" * 100_000, ""),
        (b'{"input": 3}', "input"),
        (b'{"input": {"seed": NaN}}', ""),
        (b'{"input": {"prompt": "\\ud800"}}', ""),  # half a pair of surrogates
        (b'{"context": "a"}', "context"),
        (b'{"context": {"a": 1}}', "context"),
        (b'{"webhook": "nowhere"}', "webhook"),
        (b'{"webhook": 5}', "webhook"),
        (b'{"webhook": "http://a/\\ud800"}', "webhook"),
    ],
)
def test_a_body_that_is_no_request_is_422_with_what_is_wrong(server: Server, body: bytes, where: str) -> None:
    status, answer, _ = server.ask("POST", "/predictions", body)
    assert status == 422 and answer["detail"][0]["msg"], answer
    assert answer["detail"][0]["loc"] == ["body", where][: 1 + bool(where)]


def test_names_of_inputs_that_do_not_exist_steer_no_terminal_and_can_be_sent() -> None:
    request = read_request(b'{"input": {"\\u001b[31mred": 1, "\\ud800": 1}}', {})
    red, half = json.loads(json.loads(request.body)["context"][NOTES])
    assert red.startswith("U+001B[31mred is no input") and half.startswith("U+D800 is no input")


@pytest.mark.parametrize("wanted", [["no event"], "completed", [["completed"]]])
def test_a_webhook_is_asked_for_events_that_there_are(server: Server, wanted: object) -> None:
    status, answer = server.request("POST", "/predictions", {"webhook_events_filter": wanted})
    assert status == 422 and answer["detail"][0]["loc"] == ["body", "webhook_events_filter"]


def test_a_picture_that_a_form_left_empty_is_none(server: Server) -> None:
    assert server.predict(image="", mask="")["output"]


def test_there_is_no_way_around_the_front(server: Server) -> None:
    """Else /shutdown of Cog's own server could be reached, from where a proxy lets /predictions pass."""
    restarts = figure(server, "jsd_restarts")
    for method, path in (("POST", "/predictions/../shutdown"), ("DELETE", "/predictions/a"), ("POST", "/x/shutdown")):
        status, answer = server.request(method, path, {})
        assert status in (404, 405) and answer["detail"], path
    assert server.predict()["output"]
    assert figure(server, "jsd_restarts") == restarts


@pytest.mark.parametrize("number", range(10))
def test_a_prediction_can_be_cancelled_as_soon_as_it_is_known(server: Server, number: int) -> None:
    """Cog's server may not have heard of it yet."""
    place = f"/predictions/early-{number}"
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(server.request, "PUT", place, {"input": LONG})
        wait_for(lambda: server.request("GET", place)[1].get("status") == "processing")
        assert server.request("POST", f"{place}/cancel")[0] == 200
        assert asked.result()[1]["status"] == "canceled"


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_page_of_another_site_changes_nothing(server: Server, method: str) -> None:
    path = "/shutdown" if method == "POST" else "/predictions/foreign"
    assert server.request(method, path, {}, Origin="https://evil.example")[0] == 403
    assert server.request(method, path, {}, Host="evil.example")[0] == 403
    assert server.predict()["output"]


def test_what_nobody_waits_for_can_be_fetched_later(server: Server) -> None:
    status, answer = server.request("POST", "/predictions", {"input": {**PROMPT, "seed": 3}}, Prefer="respond-async")
    assert (status, answer["status"]) == (202, "starting")
    place = f"/predictions/{answer['id']}"
    wait_for(lambda: server.request("GET", place)[1]["status"] not in ("starting", "processing"))
    status, fetched = server.request("GET", place)
    assert (status, fetched["status"]) == (200, "succeeded")
    assert fetched["output"] == server.predict(seed=3)["output"]
    assert server.request("GET", "/predictions/unknown")[0] == 404


def test_a_killed_worker_is_replaced_and_the_prediction_says_so(server: Server) -> None:
    restarts = figure(server, "jsd_restarts")
    stream = Stream(server, LONG, "killed")
    assert next(event for event, _ in stream if event == "log")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(server.run, PROMPT)
        wait_for(lambda: figure(server, "jsd_waiting") == 1)
        os.kill(worker(server), signal.SIGKILL)
        event, last = list(stream)[-1]
        assert (event, last["status"]) == ("completed", "failed") and "send it again" in last["error"]
        assert waiting.result()[1]["status"] == "succeeded", "who waits is drawn by the next worker"
    stream.close()
    assert figure(server, "jsd_restarts") == restarts + 1
    assert "started anew" in server.log.read_text("utf-8")


def test_a_worker_that_dies_while_nothing_is_drawn_is_replaced(other: Server) -> None:
    dead = worker(other)
    os.kill(dead, signal.SIGKILL)
    assert other.predict()["output"]
    assert worker(other) != dead


def test_a_request_costs_no_more_than_the_operator_lets_it(other: Server) -> None:
    dear = {"width": 64, "height": 64, "num_outputs": 4, "num_inference_steps": 50}  # 0.82 million
    assert "may be 0.2 million on this server, and is 0.8192" in other.fail(**dear)
    assert other.predict(**{**dear, "num_outputs": 1, "num_inference_steps": 40})["output"]


def test_the_log_holds_no_prompt_unless_asked(other: Server, server: Server) -> None:
    for one in (other, server):
        one.predict(prompt="猫 簪")
    assert "簪" not in other.log.read_text("utf-8")
    wait_for(lambda: "簪" in server.log.read_text("utf-8"))


def test_a_picture_address_is_bounded_and_can_be_cancelled(other: Server, server: Server) -> None:
    assert "network of its own" in other.fail(image="http://127.0.0.1:9/a.png")
    came = threading.Event()

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"H")
        came.set()

    with dribbling(answer) as url, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(server.request, "PUT", "/predictions/slow", {"input": {**PROMPT, "image": url}})
        assert came.wait(START_SECONDS)
        began = time.monotonic()
        assert server.request("POST", "/predictions/slow/cancel")[0] == 200
        assert asked.result()[1]["status"] == "canceled"
        assert time.monotonic() - began < 2


def test_metrics_count_answers_by_status(server: Server) -> None:
    names = [f'jsd_predictions_total{{status="{status}"}}' for status in ("succeeded", "failed", "canceled")]
    before = [figure(server, name) for name in names]
    server.predict()
    server.fail(width=33)
    stream = Stream(server, LONG, "counted")
    assert server.request("POST", "/predictions/counted/cancel")[0] in (200, 404)
    list(stream)
    stream.close()
    assert sum(figure(server, name) for name in names) == sum(before) + 3
    assert figure(server, names[0]) >= before[0] + 1 and figure(server, names[1]) == before[1] + 1


@pytest.mark.parametrize("how", ["request", "signal as it draws"])
def test_it_ends_at_once_and_leaves_nothing(toy_folder: Path, tmp_path: Path, how: str) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(serving_process(tmp_path, "--weights", toy_folder))
        server.predict()
        pids = [server.process.pid, *children(server.process.pid), worker(server)]
        if how == "signal as it draws":
            stream = Stream(server, LONG, "drawn")
            stack.callback(stream.close)
            assert next(iter(stream))
        if how != "request":
            server.process.send_signal(signal.SIGTERM)
        else:
            assert server.request("POST", "/shutdown", {})[0] == 200
        # docker stop kills after 10 seconds; this machine may have other work.
        assert server.process.wait(20) == 0
        if how == "signal as it draws":
            assert list(stream)[-1][1]["status"] == "failed", "it says how it ended"
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert not list(server.temporary.iterdir())
    assert "Traceback" not in server.log.read_text("utf-8")


def test_a_model_that_cannot_be_made_ready_ends_it(toy_folder: Path) -> None:
    command = serve_command("--port", free_port(), "--weights", toy_folder)
    environment = {**os.environ, "JSD_DEVICE": "cuda:99"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=START_SECONDS)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith("jsd: ") and "cuda:99" in ended.stdout + ended.stderr


def test_a_front_that_is_killed_leaves_no_server_behind(toy_folder: Path, tmp_path: Path) -> None:
    with serving_process(tmp_path, "--weights", toy_folder) as server:
        pids = [*children(server.process.pid), worker(server)]
        server.process.kill()
        server.process.wait()
        wait_for(lambda: not [pid for pid in pids if Path(f"/proc/{pid}").exists()])
