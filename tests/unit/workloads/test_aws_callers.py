import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from hubless.adapters.jose.fetching import Answer, FetchError
from hubless.adapters.workloads.aws_callers import HOSTS, AwsCallerVerifier
from hubless.domain.errors import LoginRefusedError, ProviderUnavailableError
from hubless.ports.workloads import AWS_SIGV4
from operations.workload_login import aws_proof
from tests.doubles.sts import ACCOUNT, ROLE, StsDouble
from tests.support.fakes import StoppedClock

HUB = "https://hub.example.org"
KEY, SECRET, SESSION = "AKIDEXAMPLE123456", "wJalrXUtnFEMI/K7MDENG", "session-token"


@pytest.fixture(autouse=True)
def credentials(monkeypatch):
    for name, text in {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": SESSION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, text)


@pytest.fixture
def sts():
    double = StsDouble(datetime.now(UTC))
    double.add_caller(KEY, SECRET, token=SESSION)
    return double


def verified(sts, proof, *, now=None):
    return AwsCallerVerifier((HUB,), sts, StoppedClock(now or sts.now)).verify(proof, AWS_SIGV4)


def refusal(sts, proof, **more) -> str:
    with pytest.raises(LoginRefusedError) as refused:
        verified(sts, proof, **more)
    return str(refused.value)


def headers_of(proof):
    return json.loads(base64.urlsafe_b64decode(proof + "=="))


def proof_of(headers):
    return base64.urlsafe_b64encode(json.dumps(headers).encode()).decode().rstrip("=")


def changed(proof, **headers):
    given = {name.lower(): text for name, text in headers_of(proof).items()}
    renamed = {name.replace("_", "-"): text for name, text in headers.items()}
    return proof_of({name: text for name, text in {**given, **renamed}.items() if text is not None})


def signed_by_hand(region="us-east-1", host=None, **more):
    """Return a proof with other headers, whose signature is right."""
    url = f"https://{host or f'sts.{region}.amazonaws.com'}/"
    headers = {"x-hubless-audience": HUB, **more}
    request = AWSRequest("POST", url, headers=headers, data="Action=GetCallerIdentity&Version=2011-06-15")
    SigV4Auth(ReadOnlyCredentials(KEY, SECRET, SESSION), "sts", region).add_auth(request)
    return proof_of({"host": url[8:-1], **dict(request.headers.items())})


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_a_signed_request_says_who_signed_it(sts, region):
    workload = verified(sts, aws_proof(HUB, region)[0])

    assert workload.is_of_aws
    assert (workload.issuer, workload.subject, workload.audiences) == ("", ROLE, (HUB,))
    assert workload.claims["role"] == f"arn:aws:iam::{ACCOUNT}:role/ci"
    assert sts.asked == [f"https://sts.{region}.amazonaws.com/"]


def test_the_global_host_is_one_of_sts(sts):
    assert verified(sts, signed_by_hand(host="sts.amazonaws.com")).subject == ROLE


def test_each_signed_request_has_its_own_id(sts):
    first, second = signed_by_hand(), signed_by_hand(**{"content-type": "x/y"})

    assert verified(sts, first).proof_id == verified(sts, first).proof_id != verified(sts, second).proof_id


@pytest.mark.parametrize(
    "host",
    ["sts.us-east-1.amazonaws.com.example.org", "localhost", "169.254.169.254", "s3.us-east-1.amazonaws.com", ""],
)
def test_the_hub_asks_no_host_that_the_proof_names(sts, host):
    assert "none of AWS's STS" in refusal(sts, changed(aws_proof(HUB, "us-east-1")[0], host=host))
    assert sts.asked == []


def test_hosts_are_amazons_alone():
    assert all(host.endswith((".amazonaws.com", ".amazonaws.com.cn")) for host in HOSTS)


def test_a_request_signed_for_another_hub_is_refused(sts):
    other = aws_proof("https://other.example.org", "us-east-1")[0]

    assert "another hub" in refusal(sts, other)
    assert "AWS refused" in refusal(sts, changed(other, x_hubless_audience=HUB))


def test_the_signature_must_cover_what_names_the_hub(sts):
    unsigned = signed_by_hand()
    names = headers_of(unsigned)["Authorization"]
    without = names.replace(";x-hubless-audience", "")

    assert "does not cover x-hubless-audience" in refusal(sts, changed(unsigned, authorization=without))
    assert sts.asked == []


@pytest.mark.parametrize(
    ("minutes", "is_taken"), [(0, True), (5.9, True), (6.1, False), (-0.9, True), (-1.1, False), (10, False)]
)
def test_a_signed_request_counts_for_five_minutes(sts, minutes, is_taken):
    proof, later = signed_by_hand(), sts.now.replace(microsecond=0) + timedelta(minutes=minutes)

    if is_taken:
        assert verified(sts, proof, now=later)
    else:
        assert "too long ago, or in the future" in refusal(sts, proof, now=later)


@pytest.mark.parametrize("date", ["00010101T000000Z", "99991231T235959Z"])
def test_the_first_and_the_last_time_there_is_are_refused(sts, date):
    refused = refusal(sts, changed(signed_by_hand(), x_amz_date=date))

    assert "too long ago, or in the future" in refused


def test_a_wrong_secret_or_an_unknown_key_is_refused_by_aws(sts):
    proof = aws_proof(HUB, "us-east-1")[0]
    sts.add_caller(KEY, "another secret", token=SESSION)
    assert "AWS refused the signed request (403)" in refusal(sts, proof)
    sts.callers.clear()
    assert "AWS refused the signed request (403)" in refusal(sts, proof)


@pytest.mark.parametrize(
    "headers",
    [
        {"x_forwarded_host": "x"},  # not signed
        {"x_amz_date": "tomorrow"},
        {"x_amz_date": None},
        {"authorization": None},
        {"authorization": "Bearer x"},
        {"x_hubless_audience": None},
        {"x_hubless_audience": "a\r\nb"},
        {"host": None},
    ],
)
def test_other_headers_are_refused_before_aws_is_asked(sts, headers):
    assert refusal(sts, changed(aws_proof(HUB, "us-east-1")[0], **headers))
    assert sts.asked == []


def test_signed_headers_that_do_not_belong_there_are_refused(sts):
    assert "does not send on" in refusal(sts, signed_by_hand(**{"x-amz-target": "Other.Action"}))
    assert sts.asked == []


@pytest.mark.parametrize(
    "proof", ["", "e30", "!", "W10", "a" * 20_000, proof_of({"a": 1}), proof_of({"A": "", "a": ""})]
)
def test_what_is_no_proof_is_refused(sts, proof):
    assert refusal(sts, proof)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500, {}, b""),
        Answer(302, {"location": "https://example.org/"}, b""),
        Answer(200, {}, b"<GetCallerIdentityResponse/>"),
        Answer(200, {}, b"[]"),
        Answer(200, {}, b'{"GetCallerIdentityResponse": {"GetCallerIdentityResult": {}}}'),
        Answer(
            200,
            {},
            b'{"GetCallerIdentityResponse": {"GetCallerIdentityResult": {"Account": 7, "Arn": "a", "UserId": ""}}}',
        ),
        FetchError("down"),
    ],
)
def test_an_answer_that_names_nobody_lets_nobody_in(sts, answer):
    class Broken:
        def request(self, *_):
            if isinstance(answer, Exception):
                raise answer
            return answer

    with pytest.raises(ProviderUnavailableError):
        AwsCallerVerifier((HUB,), Broken(), StoppedClock(sts.now)).verify(signed_by_hand(), AWS_SIGV4)
