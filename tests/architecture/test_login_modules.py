"""What logs people in is loaded by the requests that log in, and by no others."""

import json
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).parents[2]
OF_LOGINS = {
    "authlib",
    "bcrypt",
    "cryptography",
    "jmespath",
    "joserfc",
    "pyotp",
    "segno",
    "urllib3",
    "webauthn",
    "zxcvbn",
}
ASK = """
import json, sys, tempfile
from pathlib import Path
from tests.api.hub import An, SETTINGS, build_hub
providers = '''
[[providers]]
name = "sso"
kind = "oidc"
issuer = "https://idp.example.org"
client_id = "hub"
client_secret = "secret"
'''
hub = build_hub(Path(tempfile.mkdtemp()), SETTINGS + providers)
browser = hub.browser()
assert browser.log_in("ada").status_code == 302
for path in ("/hub/home", "/hub/token", "/hub/spawn", "/hub/static/style.css", "/hub/logged-out"):
    assert browser.get(path).status_code in {200, 302}, path
assert hub.as_token(An.ADMIN_TOKEN).get("/users").status_code == 200
assert hub.as_token(An.ADMIN_TOKEN).post("/users/ada/server").status_code == 202
hub.close()
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_requests_that_log_nobody_in_at_a_provider_load_none_of_it():
    asked = subprocess.run([sys.executable, "-c", ASK], cwd=TOP, capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stderr
    assert set(json.loads(asked.stdout.splitlines()[-1])) & OF_LOGINS == set()
