c.JupyterHub.spawner_class = "wrapspawner.ProfilesSpawner"
c.ProfilesSpawner.profiles = [
    ("Local server", "local", "jupyterhub.spawner.LocalProcessSpawner", {"ip": "0.0.0.0", "mem_limit": "1G"}),
    ("Cluster, 2 cores", "slurm2", "batchspawner.SlurmSpawner", dict(req_nprocs="2", req_queue="small")),
]
c.JupyterHub.authenticator_class = "local-github"
c.LocalGitHubOAuthenticator.create_system_users = True
c.GitHubOAuthenticator.client_id = "abc"
c.GitHubOAuthenticator.client_secret = "xK93-this-is-the-secret"
c.OAuthenticator.allow_all = True
