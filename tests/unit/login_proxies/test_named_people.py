import pytest

from hubless.adapters.login_proxies.named_people import NamedPersonVerifier
from hubless.domain.errors import LoginRefusedError
from hubless.domain.login_proxies import LoginProxy, ProxyKind

SECRET = "a secret of some length"
PROXY = LoginProxy("sso", ProxyKind.HEADER, "x-remote-user", "/out", secret_header="x-remote-secret", secret=SECRET)


def test_a_name_beside_the_secret_is_a_person():
    identity = NamedPersonVerifier(PROXY).verify("Ada", SECRET)

    assert (identity.name, identity.external.issuer, identity.external.subject) == ("ada", "proxy:sso", "ada")


@pytest.mark.parametrize("secret", ["", "wrong", SECRET + " ", SECRET[:-1], "ä" * 23])
def test_a_name_without_the_secret_is_nobody(secret):
    with pytest.raises(LoginRefusedError, match="did not send its secret"):
        NamedPersonVerifier(PROXY).verify("ada", secret)


@pytest.mark.parametrize("name", ["", "ada,root", "ada\troot", "a" * 1021, "ada\x00"])
def test_what_is_no_name_is_nobody(name):
    with pytest.raises(LoginRefusedError, match="no name"):
        NamedPersonVerifier(PROXY).verify(name, SECRET)
