"""Lambda's concurrency of an account in simulated time: reservations, the pool that is left, and throttles.

As in AWS (docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html and configuration-concurrency.html):

- A function with a reservation has that much, never more, and nobody else has it. The others share what is left.
- Reservations leave 100 unreserved, or all of an account that has less.
- A function takes ten requests a second for each unit of its concurrency, however short they are.
- A function's environments grow by 1,000 in ten seconds.

The client has the parts of boto3's that reservations need.

Facts: LAM-4.
"""

from collections import Counter, defaultdict, deque

UNRESERVED = 100
REQUESTS_A_UNIT = 10  # a second
GROWTH, GROWTH_SECONDS = 1_000, 10


class RefusedError(Exception):
    """Raised where AWS answers InvalidParameterValueException."""


class Concurrency:
    """The concurrency of one account. *limit* is its quota, *elsewhere* what other stages have reserved."""

    def __init__(self, limit=1_000, elsewhere=0):
        self.limit, self._elsewhere = limit, elsewhere
        self.reserved, self.running, self.throttled = {}, Counter(), Counter()
        self._requests, self._most, self._grown = defaultdict(deque), Counter(), defaultdict(deque)

    @property
    def unreserved(self):
        return self.limit - self._elsewhere - sum(self.reserved.values())

    def begin(self, function, now):
        """Start an invocation at *now*, in seconds, and say whether Lambda takes it; otherwise it is throttled."""
        is_taken = self._has_rate(function, now) and self._has_room(function) and self._may_grow(function, now)
        if is_taken:
            self._requests[function].append(now)
            self.running[function] += 1
        else:
            self.throttled[function] += 1
        return is_taken

    def end(self, function):
        self.running[function] -= 1

    def _concurrency_of(self, function):
        return self.reserved.get(function, self.unreserved)

    def _has_rate(self, function, now):
        recent = self._requests[function]
        while recent and recent[0] <= now - 1:
            recent.popleft()
        return len(recent) < REQUESTS_A_UNIT * self._concurrency_of(function)

    def _has_room(self, function):
        if function in self.reserved:
            return self.running[function] < self.reserved[function]
        others = sum(count for name, count in self.running.items() if name not in self.reserved)
        return others < self.unreserved

    def _may_grow(self, function, now):
        if self.running[function] < self._most[function]:
            return True  # an environment of before is free
        grown = self._grown[function]
        while grown and grown[0] <= now - GROWTH_SECONDS:
            grown.popleft()
        if len(grown) >= GROWTH:
            return False
        grown.append(now)
        self._most[function] += 1
        return True

    # --- boto3's client ---

    def get_account_settings(self):
        return {"AccountLimit": {"ConcurrentExecutions": self.limit, "UnreservedConcurrentExecutions": self.unreserved}}

    def get_function_concurrency(self, *, FunctionName):
        has = FunctionName in self.reserved
        return {"ReservedConcurrentExecutions": self.reserved[FunctionName]} if has else {}

    def put_function_concurrency(self, *, FunctionName, ReservedConcurrentExecutions):
        left = self.unreserved + self.reserved.get(FunctionName, 0) - ReservedConcurrentExecutions
        least = min(UNRESERVED, self.limit)
        if left < least:
            raise RefusedError(
                "Specified ReservedConcurrentExecutions for function decreases account's "
                f"UnreservedConcurrentExecution below its minimum value of [{least}]."
            )
        self.reserved[FunctionName] = ReservedConcurrentExecutions

    def delete_function_concurrency(self, *, FunctionName):
        self.reserved.pop(FunctionName, None)
