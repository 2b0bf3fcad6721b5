"""Routes on an Application Load Balancer: a rule and a target group for each route."""
