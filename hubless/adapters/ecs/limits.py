"""How fast ECS starts tasks, for whoever paces launches.

AWS takes 20 calls of RunTask a second, and Fargate a hundred tasks at once and 20 a second after them; each launch is a call and
a task (both limits are the account's in its region, and may be raised). What is over is refused by throttling, and costs a
function's run and the launch a second or more; so turns stay below:

- RATE: the twentieth call of each second is left for those that no turn is taken for: botocore's second tries, the try on demand
  where Spot has no place, somebody's own RunTask. A class of 2,000 takes 105 s instead of 100.
- BURST: half of what RunTask takes at once. The other half is for calls that lie closer together than their turns: between both
  a token and a file are written, in a tenth of a second or in half of one, and clocks of functions may differ as much.
- LONGEST_WAIT: so long a function may sleep for a turn, and is paid for it. As many functions as launch at once wait, each for one
  turn: at twenty (what the queue for launches hands out at once) that is a second. Longer waits only come where there are more,
  and those that would wait longer put their message back.
"""

from datetime import timedelta

RATE = 19.0  # turns a second
BURST = 10
LONGEST_WAIT = timedelta(seconds=3)
