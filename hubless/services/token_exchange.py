"""Token exchange (RFC 8693): a workload proves who it is, and gets a short-lived token by the rules in settings.

Nothing is created for users or services that the hub does not know. A proof with an id counts once.
"""

import logging
from collections.abc import Callable
from typing import Final

from hubless.domain import scopes
from hubless.domain.bounds import MAX_SCOPES
from hubless.domain.errors import (
    HublessError,
    InvalidRequestError,
    LoginRefusedError,
    ProviderUnavailableError,
    QuotaExceededError,
)
from hubless.domain.scopes import Bearer
from hubless.domain.tokens import Token
from hubless.domain.values import value
from hubless.domain.workloads import Workload, WorkloadRule
from hubless.ports.single_use import SingleUseStore
from hubless.ports.workloads import WorkloadVerifier
from hubless.services.login_throttling import LockedOut, LoginThrottle
from hubless.services.logins import Logins
from hubless.services.tokens import Tokens

logger = logging.getLogger(__name__)
# Of RFC 8693 2.2.2 and RFC 6749 5.2.
INVALID_REQUEST: Final = "invalid_request"
INVALID_SCOPE: Final = "invalid_scope"
INVALID_TARGET: Final = "invalid_target"
MAX_SHOWN = 200  # characters of a subject, in the log


@value
class ExchangeRequest:
    """A request for a token.

    Args:
        proof: what proves who the workload is.
        proof_type: the proof's type, as in `hubless.ports.workloads`.
        scopes: the scopes that the token shall have; empty for all that the rule gives.
        rule: the name of the rule that is meant; "" for the first one that holds.
    """

    proof: str
    proof_type: str
    scopes: tuple[str, ...] = ()
    rule: str = ""


@value
class ExchangeRefusal:
    """Why there is no token: *error* is RFC 6749's code, *why* a sentence that helps."""

    error: str
    why: str


@value
class ExchangedToken:
    """A token, and its secret, which is shown once."""

    token: Token
    secret: str


@value
class TokenExchange:
    """Exchanges proofs for tokens."""

    rules: tuple[WorkloadRule, ...]
    verifier: WorkloadVerifier
    tokens: Tokens
    used: SingleUseStore
    throttle: LoginThrottle
    logins: Logins
    tell: Callable[[WorkloadRule, Token, str], None] = lambda _rule, _token, _address: None  # of a token that is issued

    def exchange(self, request: ExchangeRequest, address: str) -> ExchangedToken | ExchangeRefusal | LockedOut:
        """Return a token for the workload that *request* proves, which came from *address*.

        Raises:
            ProviderUnavailableError: when the workload's platform cannot be asked.
        """
        if locked_out := self.throttle.admit_exchange(address):
            return locked_out
        try:
            workload = self.verifier.verify(request.proof, request.proof_type)
        except LoginRefusedError as refused:
            return self._refused(ExchangeRefusal(INVALID_REQUEST, str(refused)), address)
        except ProviderUnavailableError:
            self.throttle.note_failed_exchange(address)  # it cost a call to the platform, as a wrong proof does
            raise
        rule = self._rule_for(workload, request.rule)
        if rule is None:
            why = f"No rule of this hub holds for {workload.subject[:MAX_SHOWN]!r}. Ask its operator, who can read why."
            logger.warning("no rule holds for workload %.200r of %.200r", workload.subject, workload.issuer)
            return self._refused(ExchangeRefusal(INVALID_TARGET, why), address)
        if refusal := self._refusal_of_scopes(rule, request.scopes):
            return refusal
        # Last of all checks, so that a mistake costs no proof; before the token, so that two at once get one.
        if rule.single_use and workload.proof_id and not self._is_first(workload):
            why = "This proof was used before, and each counts once. Get a new one."
            return self._refused(ExchangeRefusal(INVALID_REQUEST, why), address)
        return self._issue(rule, workload, request.scopes or rule.scopes, address)

    def _rule_for(self, workload: Workload, name: str) -> WorkloadRule | None:
        return next((rule for rule in self.rules if name in {"", rule.name} and rule.holds_for(workload)), None)

    def _refusal_of_scopes(self, rule: WorkloadRule, wanted: tuple[str, ...]) -> ExchangeRefusal | None:
        """Refuse scopes that the rule does not give. Whether the owner has them is checked when they are issued."""
        if len(wanted) > MAX_SCOPES:
            return ExchangeRefusal(INVALID_SCOPE, f"A token may have at most {MAX_SCOPES} scopes.")
        if "inherit" in rule.scopes:
            return None
        bearer = Bearer(user=rule.user) if rule.user else Bearer(service=rule.service)
        given = scopes.expand(rule.scopes, bearer)
        try:
            for one in wanted:
                scopes.parse(one)
        except InvalidRequestError as unknown:
            return ExchangeRefusal(INVALID_SCOPE, str(unknown))
        asked = scopes.expand(wanted, bearer)
        groups_of = self.tokens.identities.groups_of()
        lacking = sorted(str(one) for one in asked.all if not given.covers(one, groups_of))
        if lacking or "inherit" in wanted:
            named = ", ".join(lacking[:5]) or "inherit"
            return ExchangeRefusal(INVALID_SCOPE, f"The rule {rule.name} does not give {named}.")
        return None

    def _is_first(self, workload: Workload) -> bool:
        return self.used.use(f"workload#{workload.proof_id}", workload.valid_until)

    def _issue(
        self, rule: WorkloadRule, workload: Workload, wanted: tuple[str, ...], address: str
    ) -> ExchangedToken | ExchangeRefusal:
        note = rule.note(workload)
        try:
            if rule.service:
                token, secret = self.tokens.issue_to_service(
                    rule.service, note=note, expires_in=rule.lifetime, raw_scopes=list(wanted)
                )
            else:
                self.logins.require_not_blocked(rule.user)
                token, secret = self.tokens.issue(rule.user, note=note, expires_in=rule.lifetime, scopes=list(wanted))
        except QuotaExceededError as full:
            return ExchangeRefusal(INVALID_REQUEST, str(full))
        except InvalidRequestError as refused:
            return ExchangeRefusal(INVALID_SCOPE, str(refused))
        except HublessError as gone:  # the user does not exist, or may not log in
            return ExchangeRefusal(INVALID_TARGET, str(gone))
        logger.info(
            "workload %.200r of %.200r got token %s of %s %s by rule %s from %s with scopes %s",
            workload.subject,
            workload.issuer or "AWS",
            token.id,
            token.owner_kind.value,
            rule.service or rule.user,
            rule.name,
            address,
            " ".join(token.scopes),
        )
        self.tell(rule, token, address)
        return ExchangedToken(token, secret)

    def _refused(self, refusal: ExchangeRefusal, address: str) -> ExchangeRefusal:
        self.throttle.note_failed_exchange(address)
        return refusal
