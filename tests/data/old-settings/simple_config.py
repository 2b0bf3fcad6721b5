from jupyterhub.spawner import SimpleLocalProcessSpawner

c.JupyterHub.spawner_class = SimpleLocalProcessSpawner
c.SimpleLocalProcessSpawner.home_dir_template = "/srv/home/{username}"
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = "xK93-this-is-the-secret"
c.SharedPasswordAuthenticator.admin_password = "xK93-this-is-the-secret-too"
c.Authenticator.allow_all = True
c.Authenticator.any_allow_config = True
c.JupyterHub.load_roles = [
    {"name": "user", "scopes": ["self", "shares!user", "list:groups"]},
    {
        "name": "instructors",
        "description": "Teach",
        "scopes": ["admin:users!group=course", "admin:servers!group=course"],
        "users": ["Ada"],
        "groups": ["course"],
    },
]
c.JupyterHub.load_groups = {"course": ["bob", "carol"]}
