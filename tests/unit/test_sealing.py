from hubless.adapters.sealing import FernetSealer


def sealer(*secrets, purpose="a purpose"):
    return FernetSealer(lambda: secrets, purpose)


def test_what_was_sealed_is_opened_and_cannot_be_read():
    sealed = sealer(b"one").seal(b"a secret")

    assert sealer(b"one").open(sealed) == b"a secret"
    assert b"secret" not in sealed
    assert sealer(b"one").seal(b"a secret") != sealed


def test_the_first_secret_seals_and_all_open():
    old, new = sealer(b"old").seal(b"x"), sealer(b"new", b"old").seal(b"y")

    assert sealer(b"new", b"old").open(old) == b"x"
    assert sealer(b"new").open(new) == b"y"
    assert sealer(b"old").open(new) is None


def test_what_another_purpose_has_sealed_is_not_opened():
    assert sealer(b"one").open(sealer(b"one", purpose="another").seal(b"x")) is None


def test_what_was_damaged_is_not_opened():
    sealed = sealer(b"one").seal(b"x")

    assert sealer(b"one").open(sealed[:-1] + b"\x00") is None
    assert sealer(b"one").open(b"") is None
    assert sealer(b"one").open(b"\xff" * 100) is None
