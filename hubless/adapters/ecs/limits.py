"""Limits of ECS for the launch rate limiter, and for the one of preparations.

AWS accepts 20 calls of RunTask a second. Fargate accepts a hundred tasks at once, and 20 a second after them. Each
launch is one call and one task. Both limits are per account and region, and AWS may raise them. AWS throttles calls
over the limit; each costs a run of the function, and delays the launch by a second or more. So slots stay below the
limits:

- RATE: the twentieth call of each second is left for calls without a slot: retries of boto3, the on-demand try when
  Spot has no capacity, RunTask calls of others. A class of 2,000 takes 105 s instead of 100.
- BURST: half of what RunTask accepts at once. The other half is for calls that are closer together than their slots:
  between both the function writes a token and a file, which takes 0.1 to 0.5 s, and the clocks of functions may differ
  as much.
- LONGEST_WAIT: how long a function may sleep until its slot. AWS bills the sleep. The queue for launches runs twenty
  functions at once, each of which waits for one slot: about a second. Longer waits need more functions. A function that
  would wait longer releases its message instead.
- SPARES_RESERVE: what starts of spares leave of the burst to launches (ADR 70).

ECS accepts twenty registrations of task definitions at once, and one a second after them (ADR 33):

- PREPARATION_RATE, PREPARATION_BURST: a little less, for registrations of others in the account.
- RESERVE: what registrations ahead leave of the burst to starts. A start whose definition is missing finds it.
"""

from datetime import timedelta

RATE = 19.0  # slots a second
BURST = 10
LONGEST_WAIT = timedelta(seconds=3)
SPARES_RESERVE = 8
PREPARATION_RATE = 0.95
PREPARATION_BURST = 18
RESERVE = 9
