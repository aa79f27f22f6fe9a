import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

from tests.e2e.api.api_checks import links, problem, refused
from tests.service import Service, eventually

ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


def test_202_says_what_was_started_and_where_it_is(service: Service):
    before = time.time() * 1000
    answer = service.post(service.body("true", max_turns=1))
    assert answer.status_code == 202
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body.keys() == {"run_id", "status", "kind", "thread_id", "created_at", "links"}
    assert (body["status"], body["kind"]) == ("queued", "continuous")
    assert ID.fullmatch(body["run_id"])
    assert ID.fullmatch(body["thread_id"])
    assert before - 1 <= body["created_at"] <= time.time() * 1000
    temporal = body["links"].pop("temporal")
    assert temporal == f"http://127.0.0.1:{service.ui_port}/namespaces/default/workflows/{body['run_id']}"
    assert body["links"] == links(body["run_id"])
    assert answer.headers["location"] == body["links"]["self"]
    for link in ("self", "status", "responses"):
        assert service.http.get(body["links"][link]).status_code == 200


def test_a_single_run_has_one_turn_in_the_thread_that_it_names(service: Service):
    first = service.start("cat", single=True, prompt="one", thread_id="my-thread_1")
    assert first.accepted["kind"] == "single"
    assert first.accepted["thread_id"] == "my-thread_1"
    first.wait("completed")
    second = service.start("cat", single=True, prompt="two", thread_id="my-thread_1")
    snapshot = second.wait("completed")
    assert (snapshot["kind"], snapshot["current_turn"], snapshot["thread_id"]) == ("single", 1, "my-thread_1")
    assert second.events()[-1]["payload"]["reason"] == "single_turn"
    thread = service.http.get("/api/threads/my-thread_1").json()
    assert thread["thread_id"] == "my-thread_1"
    assert [response["run_id"] for response in thread["responses"]] == [first.id, second.id]
    assert [response["output_items"][0]["content"] for response in thread["responses"]] == ["one", "two"]


def test_defaults_are_enough_and_null_means_not_given(service: Service):
    body = service.body("true", prompt=None, epic_id=None, budget=None, metadata=None, max_turns=1)
    run = service.post(body).json()
    assert service.http.get(f"/api/runs/{run['run_id']}").json()["metadata"] == {}


def test_a_start_needs_no_worker(service: Service):
    with service.frozen("worker"):
        run = service.start("true")
        assert run.snapshot()["status"] == "queued"
        assert service.http.get("/api/runs", params={"limit": 1}).json()["runs"][0]["run_id"] == run.id
    assert run.wait("completed")["stats"]["turns"] == 1


def test_the_trace_of_the_request_is_the_run_s(service: Service):
    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=b"}
    answer = service.http.post("/api/runs/continuous", json=service.body("true", max_turns=1), headers=trace)
    with service.open(f"{answer.json()['links']['stream']}") as stream:
        contexts = [frame.json["trace_context"] for frame in stream if frame.event]
    assert all(context == trace for context in contexts)


def test_a_trace_that_is_none_is_replaced(service: Service):
    body = service.body("true", max_turns=1)
    for bad in ("", "x", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "00-" + "a" * 5000):
        answer = service.http.post("/api/runs/continuous", json=body, headers={"traceparent": bad})
        with service.open(answer.json()["links"]["stream"]) as stream:
            frame = stream.next()
        assert frame
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", frame.json["trace_context"]["traceparent"])


# Idempotency-Key.


def test_the_same_key_and_body_give_the_same_run(service: Service):
    body = service.body("true", max_turns=1, metadata={"a": "1", "b": "2"})
    first = service.post(body, key="same")
    again = service.post(body, key="same")
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    eventually(lambda: service.http.get(first.headers["location"]).json()["status"] == "completed")
    assert service.post(body, key="same").json() == first.json()


def test_bodies_are_compared_as_canonical_json(service: Service):
    body = service.body("true", max_turns=1, metadata={"a": "é", "b": "2"})
    first = service.post(body, key="canonical").json()["run_id"]
    turned = {name: body[name] for name in reversed(body)} | {"metadata": {"b": "2", "a": "é"}}
    for text in (json.dumps(turned), json.dumps(turned, indent=3), json.dumps(turned, ensure_ascii=False)):
        headers = {"Idempotency-Key": "canonical", "Content-Type": "application/json"}
        answer = service.http.post("/api/runs/continuous", content=text.encode(), headers=headers)
        assert answer.json()["run_id"] == first


def test_the_same_key_with_another_body_is_a_conflict(service: Service):
    body = service.body("true", max_turns=1)
    service.post(body, key="other").raise_for_status()
    problem(service.post({**body, "max_turns": 2}, key="other"), 409, "idempotency_conflict")
    single = {"agent": body["agent"], "working_dir": body["working_dir"], "prompt": ""}
    problem(service.post(single, single=True, key="other"), 409, "idempotency_conflict")
    assert service.post(body, key="another").status_code == 202


def test_twenty_at_once_give_one_run(service: Service):
    body = service.body("true", max_turns=1, epic_id="twenty")
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: service.post(body, key="twenty"), range(20)))
    assert [answer.status_code for answer in answers] == [202] * 20
    assert len({answer.json()["run_id"] for answer in answers}) == 1
    assert len(list(service.listed(epic_id="twenty"))) == 1


def test_a_key_that_is_none_is_refused(service: Service):
    body = service.body("true", epic_id="bad-key")
    for key in ("", "x" * 256, "a\tb"):
        refused(service.post(body, key=key), "Idempotency-Key")
    latin = {"Idempotency-Key": "é".encode("latin-1")}
    refused(service.http.post("/api/runs/continuous", json=body, headers=latin), "Idempotency-Key")
    assert not list(service.listed(epic_id="bad-key"))


def test_a_refused_body_does_not_use_up_its_key(service: Service):
    body = service.body("true", max_turns=0)
    refused(service.post(body, key="mended"), "max_turns")
    assert service.post({**body, "max_turns": 1}, key="mended").status_code == 202
