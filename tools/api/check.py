"""Starts a demo, makes tokens, and lets schemathesis try the API as several people at once.

    check.py BINARY

Each person tries the part of the API that is theirs, with ids of real requests mixed in, so that good
answers are compared with the document as well as refusals. The server's rate limits stay as they are
in production: each run keeps below them.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "build" / "api"
# Seconds that one person's run may take; all run at the same time.
RUN_MAX_S = 400

# Who tries which part: name of the run, person on the demo's register, calls a second, endpoints. The
# rates stay below the server's own limits (10 for one person, 50 for one address) and let all runs end
# at about the same time.
RUNS = [
    ("requester", "Sam Okafor", 7, ["list_drafts", "new_draft", "get_draft", "save_draft", "discard_draft", "add_image",
                                 "get_draft_image", "describe_image", "remove_image", "send"]),
    ("second-requester", "Tom Reid", 7, ["list_requests", "get_request", "get_history", "get_image", "approve", "return_to_requester",
                                      "edit_returned", "copy_rejected", "withdraw", "answer_clarification", "get_answer",
                                      "answer_image", "ask_review", "ask_onward"]),
    ("caseworker", "Asha Verma", 8, ["get_request", "get_history", "get_image", "take", "put_back", "reject", "ask_clarification",
                                  "assess", "search", "admit", "colleagues", "flag_vulnerable", "get_brief"]),
    ("second-caseworker", "Grace Mensah", 6, ["list_requests", "matches", "match_image", "decide_sharing", "preview", "answer",
                                           "decide_onward", "close", "get_request", "declare_conflict"]),
    ("leader", "Ruth Adeyemi", 6, ["allocate", "admit", "decide_review", "decide_onward", "close", "colleagues", "list_requests",
                                "statistics", "ledger", "get_history", "examiners_at_work", "replace_examiner", "failed_tasks",
                                "try_again", "settings", "confirm_threshold", "decline_threshold", "affected_searches"]),
    ("second-leader", "Colin Bright", 5, ["list_trials", "new_trial", "get_trial_draft", "save_trial", "discard_trial", "set_trial_probe",
                                       "add_trial_candidate", "describe_trial_candidate", "remove_trial_candidate", "seed_trial",
                                       "get_trial", "get_trial_picture", "stop_trial", "trial_results", "examiner_agreement"]),
    ("owner", "Margaret Ellis", 4, ["accuracy", "settings", "propose_threshold", "confirm_threshold", "revoke_certificate", "statistics",
                                   "ledger", "processing", "processing_proof", "place_hold", "review_hold", "lift_hold"]),
    ("examiner", "Mei Lin", 5, ["list_comparisons", "get_comparison", "take_up_comparison", "get_comparison_probe",
                             "get_candidate_image", "give_visual", "get_informed", "give_informed", "conclude_empty", "own_trial_result"]),
    ("auditor", "Nadia Rahman", 4, ["me", "policy", "ledger", "verify_ledger", "statistics", "list_requests", "get_request",
                                 "get_history", "take", "look_up", "sample", "processing", "processing_proof"]),
]


class Server:
    """A demo on a folder of its own."""

    def __init__(self, binary, folder):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        self.binary, self.folder = binary, folder
        self.data = folder / "demo"
        self.url = f"http://127.0.0.1:{port}"
        self.log = open(OUT / "server.log", "w", encoding="utf-8")
        arguments = ["demo", "--listen", f"127.0.0.1:{port}", "--data", str(self.data), "--synthetic", "2000"]
        self.process = subprocess.Popen([binary, *arguments], cwd=ROOT, stdout=self.log, stderr=self.log)

    def wait(self):
        started = time.monotonic()
        while time.monotonic() - started < 240:
            if self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.url}/health/ready", timeout=2):
                    print(f"  the demo is ready after {time.monotonic() - started:.0f} s")
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)
        raise SystemExit(f"the demo did not start; see {OUT / 'server.log'}")

    def token(self, person):
        config = self.folder / "countersign.toml"
        config.write_text(f"data_dir = {json.dumps(str(self.data))}\n", encoding="utf-8")
        made = subprocess.run([self.binary, "--config", str(config), "token", person, "--days", "1"],
                              cwd=ROOT, capture_output=True, text=True, check=False)
        if made.returncode:
            raise SystemExit(f"no token for {person}: {made.stderr}")
        return made.stdout.strip()

    def get(self, token, path):
        request = urllib.request.Request(f"{self.url}/api/v1{path}", headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError:
            return None

    def post(self, token, path, body=None):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/v1{path}", method="POST", data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError:
            return None

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()


def known(server, token):
    """Ids that this person may use: requests, images, candidates, and the versions seen. Several requests,
    but images and candidates of one only, named more often, so that what is drawn belongs together."""
    ids, whole_one, versions = [], None, {0, 1, 2}
    for line in server.get(token, "/comparisons") or []:
        sheet = server.post(token, f"/comparisons/{line['request']}/{line['probe']}")  # taken up, so that there is a sheet to write on
        if sheet:
            whole_one = whole_one or (line["request"], [line["probe"]], [c["id"] for c in sheet["candidates"]])
            ids.append(line["request"])
    for which in ("approval", "mine", "ended", "all"):
        page = server.get(token, f"/requests?list={which}")
        for line in (page or {}).get("lines", [])[:2]:
            ids.append(line["id"])
            whole = server.get(token, f"/requests/{line['id']}")
            if whole:
                versions.add(whole["version"])
                candidates = [c["id"] for p in whole["probes"] for c in p["candidates"]]
                answer = server.get(token, f"/requests/{line['id']}/answer") or {"probes": []}
                candidates += [s["candidate"] for p in answer["probes"] for s in p["shared"]]
                if whole_one is None or (candidates and not whole_one[2]):
                    whole_one = (line["id"], [p["id"] for p in whole["probes"]], candidates)
    draft = server.post(token, "/drafts")
    if draft:
        ids.append(draft["id"])
    trial = server.post(token, "/trials")
    if trial:
        ids.append(trial["id"])
    first, probes, candidates = whole_one or ("", [], [])
    ids = list(dict.fromkeys(ids))
    return {"ids": [first] * (len(ids) // 2 + 1) + ids if first else ids, "probes": probes, "candidates": candidates, "versions": sorted(versions),
            "certificates": [a["digest"] for a in server.get(token, "/accuracy") or [] if a["digest"]]}


def configure(folder, name, rate, found):
    """The configuration of one run."""
    lines = [
        f'rate-limit = "{rate}/s"',
        "request-timeout = 30.0",
        "continue-on-failure = true",
        "[generation]",
        'database = "none"',
        "max-examples = 12",
        "[phases.stateful]",
        f"enabled = {json.dumps(name == 'requester')}",
        # A well-formed step may still be against the policy (422) or come after its data was erased (410).
        "[checks.positive_data_acceptance]",
        'expected-statuses = ["2xx", "401", "403", "404", "409", "410", "422"]',
        "[checks.negative_data_rejection]",
        'expected-statuses = ["400", "401", "404", "409", "413", "415", "422"]',
    ]
    bindings = []
    for name_of_values, keys in (("ids", ["path.id"]), ("probes", ["path.probe"]), ("candidates", ["path.candidate"]),
                                 ("versions", ["body.version", "query.version"]), ("certificates", ["path.certificate"])):
        if found[name_of_values]:
            lines += [f"[dictionaries.{name_of_values}]", f"values = {json.dumps(found[name_of_values])}"]
            bindings += [f'"{key}" = {{ dictionary = "{name_of_values}", probability = 0.9 }}' for key in keys]
    lines += ["[parameters]", *bindings]
    path = folder / f"{name}.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def start(server, folder, name, person, rate, endpoints):
    token = server.token(person)
    config = configure(folder, name, rate, known(server, token))
    log = open(OUT / f"{name}.log", "w", encoding="utf-8")
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{server.url}/api/v1/openapi.json",
               "--header", f"Authorization: Bearer {token}", "--no-color", "--output-sanitize", "true", "--warnings", "off", "--seed", os.environ.get("SEED", "2026")]
    for endpoint in endpoints:
        command += ["--include-operation-id", endpoint]
    return name, person, log, subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)


def main():
    binary = sys.argv[1]
    OUT.mkdir(parents=True, exist_ok=True)
    failed = []
    with tempfile.TemporaryDirectory(prefix="countersign-api-") as place:
        folder = Path(place)
        server = Server(binary, folder)
        try:
            server.wait()
            covered = {e for *_, endpoints in RUNS for e in endpoints}
            document = server.get("none", "/openapi.json")
            named = {o["operationId"] for item in document["paths"].values() for o in item.values()}
            if named != covered:
                raise SystemExit(f"RUNS and the document differ: {sorted(named ^ covered)}")
            only = os.environ.get("ONLY")
            running = [start(server, folder, *run) for run in RUNS if not only or run[0] == only]
            end = time.monotonic() + RUN_MAX_S
            for name, person, log, process in running:
                try:
                    code = process.wait(max(1, end - time.monotonic()))
                except subprocess.TimeoutExpired:
                    process.kill()
                    code = "took too long"
                log.close()
                text = (OUT / f"{name}.log").read_text(encoding="utf-8")
                cases = re.findall(r"^.*(?:generated|Test cases|cases).*$", text, re.MULTILINE)
                print(f"  {name} ({person}): {'clean' if code == 0 else f'FAILED ({code})'}; {' '.join(c.strip() for c in cases[-2:])}")
                if code != 0:
                    failed.append(name)
            if server.process.poll() is not None:
                failed.append("the server")
        finally:
            server.stop()
    for name in failed:
        log = OUT / f"{name}.log"
        if log.exists():
            print(f"\n=== {name}, from {log}\n{log.read_text(encoding='utf-8')[-6000:]}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
