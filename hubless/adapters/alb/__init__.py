"""Routes served by an Application Load Balancer: a rule and a target group for each."""
