"""An AWS account, as far as launching servers on Fargate needs one: ECS, and a little of S3, EFS and IAM.

Nothing in it is real but time where a test hands it the machine's clock. It is asked through boto3 (`wire.connect`),
so requests are validated, signed, sent, parsed and retried by the code that speaks to AWS; only the socket is not
there. Or it is served on a loopback port (`endpoint.serve`), and then tasks may be real processes
(`processes.Processes`).

How it differs from AWS, as far as known:

- It knows only the operations and parameters that are used here. Any other fails the test that uses it, loudly.
- There is one account and one region. Of IAM it has roles: who may do what is not checked, except what a role mounts
  and whether ECS may use it. ECS learns of a new role after `role_lag`; AWS promises no time.
- Codes of errors are AWS's. Their words are where AWS's documents or users' reports give them, and else are near them.
- A task's life takes from 20 to 90 s to RUNNING (from a seeded source) in fixed shares, and 12 s from the container's
  end to STOPPED. AWS promises neither.
- Client tokens are remembered for 24 hours. A RunTask that started nothing does not use its token up: AWS does not say.
- Lists lag behind by `lag` seconds, descriptions by `describe_lag`; AWS's do by nothing, mostly, and by anything,
  sometimes.
- Events come through `Account.news`, when the test takes them, in whatever order the test makes of them.
- S3 is consistent as S3 is, and knows nothing of versions and of life cycles.
- The reader of files of variables is the public agent's at its strictest: a value ends at a second `=`, and an empty
  one is left out.

Facts: ECS-1, ECS-2, ECS-3, ECS-4, ECS-5, ECS-6, ECS-7, ECS-8, ECS-9, ECS-10, ECS-11, ECS-12, ECS-13, ECS-14, ECS-15,
ECS-16, ECS-17, ECS-21, ECS-22, ECS-24, ECS-25, ECS-26, ECS-27, ECS-28, ECS-29, ECS-30, ECS-31, ECS-33, ECS-37,
EFS-1, EFS-2, EFS-3, EFS-4, EFS-10, IAM-1, IAM-2, IAM-3, IAM-4, S3-2, S3-3.
"""
