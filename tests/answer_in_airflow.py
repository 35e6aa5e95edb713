"""Answers what Airflow asks a person, through its own public API, as its page does; no server is needed for that.

`python tests/answer_in_airflow.py DAG Approve` waits for a question of that DAG, prints it as JSON and answers it.
"""

import json
import sys
import time

from airflow.api_fastapi.app import create_app
from fastapi.testclient import TestClient

SECONDS = 900


def answer(dag: str, option: str) -> dict[str, object]:
    """Wait for an open question of a DAG and choose an option; the question."""
    client = TestClient(create_app(apps="core"), base_url="http://127.0.0.1")
    client.headers["Authorization"] = f"Bearer {client.get('/auth/token').json()['access_token']}"
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        listed = client.get(f"/api/v2/dags/{dag}/dagRuns/~/hitlDetails", params={"response_received": "false"})
        assert listed.status_code == 200, listed.text
        for found in listed.json()["hitl_details"]:
            asked = found["task_instance"]
            if asked["state"] != "awaiting_input":
                continue
            run = f"/api/v2/dags/{dag}/dagRuns/{asked['dag_run_id']}"
            path = f"{run}/taskInstances/{asked['task_id']}/{asked['map_index']}/hitlDetails"
            done = client.patch(path, json={"chosen_options": [option], "params_input": {}})
            assert done.status_code == 200, done.text
            return {"subject": found["subject"], "body": found["body"], "task": asked["task_id"]}
        time.sleep(0.5)
    raise SystemExit("nobody was asked")


if __name__ == "__main__":
    sys.stdout.write(json.dumps(answer(sys.argv[1], sys.argv[2])) + "\n")
