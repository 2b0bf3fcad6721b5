"""What a spare's container runs: it asks the hub for its launch, and then becomes the server."""

import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hubless.adapters.ecs import naming, waiting_task

PAUSES = "PAUSE, LONGEST_PAUSE = 3, 60"
SOURCE = Path(waiting_task.__file__).read_text()
QUICK = SOURCE.replace(PAUSES, "PAUSE, LONGEST_PAUSE = 0.01, 0.05")
SHOW = "import json, os; print(json.dumps(dict(os.environ)))"
LAUNCH = json.dumps(
    {"environment": {"JUPYTERHUB_USER": "ürsula", "SHARED": "of the launch", "EMPTY": "", "LINES": "a\nb"}}
)
SECRET = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"


class Hub(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *answers):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked = list(answers), []
        self.url = f"http://127.0.0.1:{self.server_port}/hub/api/spares/w1/launch"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.asked.append((self.path, self.headers["Authorization"]))
        status, body, *headers = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_POST

    def log_message(self, *_):
        pass


@contextmanager
def hub_answering(*answers):
    with Hub(*answers) as hub:
        threading.Thread(target=hub.serve_forever, args=(0.01,), daemon=True).start()
        yield hub
        hub.shutdown()


def run(url, *command):
    environment = {
        naming.SPARE: "w1",
        naming.SPARE_URL: url,
        naming.SPARE_SECRET: SECRET,
        "SHARED": "of the image",
        "KEPT": "1",
    }
    command = command or (sys.executable, "-c", SHOW)
    done = subprocess.run(
        [sys.executable, "-I", "-c", QUICK, *command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_it_asks_until_there_is_a_launch_and_becomes_its_server():
    busy = (503, "busy")
    with hub_answering((204, ""), busy, (200, '{"environm'), (200, "[]"), (204, ""), (200, LAUNCH)) as hub:
        code, out, said = run(hub.url)

    environment = json.loads(out)
    assert environment | json.loads(LAUNCH)["environment"] == environment
    assert environment["KEPT"] == "1"
    assert not [name for name in environment if "SPARE" in name]
    assert hub.asked == [("/hub/api/spares/w1/launch", f"token {SECRET}")] * 6
    assert (code, said.count("will ask again")) == (0, 3)
    assert SECRET not in out + said


@pytest.mark.parametrize("status", [403, 404])
def test_it_ends_when_the_hub_does_not_need_it(status):
    with hub_answering((status, "")) as hub:
        code, out, said = run(hub.url)

    assert (code, out, len(hub.asked)) == (0, "", 1)
    assert "does not need this spare" in said


def test_it_shows_its_secret_to_no_other_address():
    with hub_answering((200, LAUNCH)) as other, hub_answering((302, "", ("Location", other.url)), (404, "")) as hub:
        run(hub.url)

    assert (len(hub.asked), other.asked) == (2, [])


def test_a_program_that_is_not_there_is_named():
    with hub_answering((200, LAUNCH)) as hub:
        code, _, said = run(hub.url, "no-such-program")

    assert code == 127
    assert "cannot run no-such-program" in said


def test_it_reads_the_variables_that_the_launcher_sets():
    assert (waiting_task.URL, waiting_task.SECRET) == (naming.SPARE_URL, naming.SPARE_SECRET)
    assert PAUSES in SOURCE
