"""Starting servers: the page, and what comes back of what they are started with."""


def test_a_start_waits_for_the_stop_before_it(hub, alice):
    alice.post("/users/alice/server")
    alice.delete("/users/alice/server")
    browser = hub.browser("alice")

    waiting = browser.get("/hub/spawn")
    assert waiting.status_code == 200
    assert "is stopping" in waiting.text
    assert 'http-equiv="refresh"' in waiting.text

    hub.hub.stopping.carry_out(hub.hub.servers.find(hub.user("alice").id, ""))
    assert browser.get("/hub/spawn").headers["location"] == "/hub/spawn-pending/alice"


def test_options_come_back_as_they_were_sent(alice):
    options = {"n": 10**40, "deep": [{"ü": 1.5}], "none": None}
    assert alice.put("/users/alice/servers/one", {"user_options": options}).json()["user_options"] == options
    assert alice.get("/users/alice/servers/one").json()["user_options"] == options
