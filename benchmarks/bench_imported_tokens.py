"""What a wrong token costs a hub with 50,000 imported tokens, beside an unknown token on an empty hub.

Bounded: TOKENS tokens (50,000) in a SQLite file, TRIES requests of each kind (500) in process, without a network.
Prints a Markdown table of mean processor times: of the hub's look-up alone, of a whole request, and of the latter as a
ratio. In a flood all wrong tokens come from one address, as fast as one client sends them; otherwise each is compared
with its candidates.
"""

import contextlib
import hashlib
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

TOP = Path(__file__).parents[1]
sys.path.insert(0, str(TOP))
from hubless.adapters.sqlite.database import Database  # noqa: E402 the checkout is not on the path before
from hubless.adapters.sqlite.tokens import insert  # noqa: E402
from hubless.bootstrap import machine  # noqa: E402
from hubless.domain.errors import QuotaExceededError  # noqa: E402
from hubless.domain.imported_secrets import (  # noqa: E402
    MANY_ROUNDS,
    MOST_OF_MANY_ROUNDS,
    MOST_OF_ONE_ROUND,
    of_jupyterhub,
    prefix_of,
)
from hubless.domain.tokens import OwnerKind, Token  # noqa: E402
from hubless.services import imported_secret_checks  # noqa: E402
from hubless.settings import parse  # noqa: E402
from tests.api.hub import TheHub  # noqa: E402

TOKENS = int(os.environ.get("TOKENS", "50000"))
TRIES = int(os.environ.get("TRIES", "500"))
USERS = 100
SETTINGS = '[login]\nkind = "shared-password"\npassword = "a long password"\n'
NOW = datetime.now(UTC)


def hashed(secret: str, rounds: int = 1) -> str:
    """Return a secret's hash as JupyterHub makes it."""
    salt = secrets.token_hex(8)
    digest = hashlib.sha512(salt.encode() + secret.encode() * rounds).hexdigest()
    return of_jupyterhub(f"sha512:{rounds}:{salt}:{digest}", prefix_of(secret)).text


def a_hub(folder: Path, imported: dict[str, int]) -> TheHub:
    """Return a hub with these imported tokens, given by their secrets with their rounds."""
    folder.mkdir()
    (folder / "secret").write_bytes(b"k" * 32)
    settings = parse(SETTINGS, folder, {"PATH": "/usr/bin"})
    hub = machine.build(settings)
    users = [hub.accounts.add(f"user{number}") for number in range(USERS)]
    database = Database(settings.database)
    with database.transaction():
        for number, (secret, rounds) in enumerate(imported.items()):
            owner = users[number % USERS].id
            insert(
                database,
                Token(f"a-{number:06}", hashed(secret, rounds), OwnerKind.USER, owner, ("inherit",), NOW),
            )
    database.close()
    return TheHub(hub)


def asked(hub: TheHub, wrong: list[str]) -> tuple[float, float]:
    """Return the means of the processor's seconds that the look-up of a wrong token takes, and a request with it."""
    looked_up, answered = [], []
    for secret in wrong:
        start = time.process_time()
        with contextlib.suppress(QuotaExceededError):
            assert hub.hub.identities.of_token(f"{secret[:-1]}-") is None
        looked_up.append(time.process_time() - start)
        start = time.process_time()
        assert hub.as_token(secret).get("/user").status_code in {403, 429}
        answered.append(time.process_time() - start)
    return statistics.mean(looked_up), statistics.mean(answered)


def wrong_ones(prefix: str = "") -> list[str]:
    """Return wrong tokens that begin with *prefix*."""
    return [prefix + secrets.token_hex(16)[len(prefix) :] for _ in range(TRIES)]


def main() -> None:
    """Measure and print."""
    made = {secrets.token_hex(16): 1 for _ in range(TOKENS)}
    [(commonest, times)] = Counter(map(prefix_of, made)).most_common(1)
    full = {f"full{secrets.token_hex(14)}": 1 for _ in range(MOST_OF_ONE_ROUND)}
    slow = {f"serv{secrets.token_hex(14)}": MANY_ROUNDS for _ in range(MOST_OF_MANY_ROUNDS)}
    one = {f"one-{secrets.token_hex(14)}": MANY_ROUNDS}
    with tempfile.TemporaryDirectory() as folder:
        empty = a_hub(Path(folder) / "empty", {})
        many = a_hub(Path(folder) / "many", made | full | slow | one)
        kinds = {
            "random": wrong_ones(),
            f"the commonest prefix of the hub's own ({times} candidates)": wrong_ones(commonest),
            f"as many of one round as may be ({MOST_OF_ONE_ROUND})": wrong_ones("full"),
            "one that somebody chose (16,384 rounds)": wrong_ones("one-"),
            f"as many of those as may be ({MOST_OF_MANY_ROUNDS})": wrong_ones("serv"),
        }
        asked(empty, wrong_ones())  # whatever is done once is done now
        asked(many, wrong_ones())
        flood = {f"a flood of {kind}": wrong for kind, wrong in list(kinds.items())[-2:]}
        flood["one and the same, again and again"] = ["serv-of-old-times-0123"] * TRIES
        at_once = imported_secret_checks.AT_ONCE
        print(f"| a wrong token against {TOKENS:,} imported ones | look-up, µs | request, µs | of an unknown one's |")
        print("| --- | --: | --: | --: |")
        for name, wrong in (kinds | flood).items():
            imported_secret_checks.AT_ONCE = 10**9 if name in kinds else at_once
            (_, base), (looked_up, answered) = asked(empty, wrong_ones()), asked(many, wrong)
            print(f"| {name} | {looked_up * 1e6:.0f} | {answered * 1e6:.0f} | {answered / base:.2f} |")
        empty.close()
        many.close()


if __name__ == "__main__":
    main()
