import os, pwd

c.JupyterHub.hub_ip = "127.0.0.1"
c.JupyterHub.ip = "0.0.0.0"
c.JupyterHub.port = 443
c.JupyterHub.ssl_key = "/etc/letsencrypt/privkey.pem"
c.JupyterHub.ssl_cert = "/etc/letsencrypt/fullchain.pem"
c.JupyterHub.cookie_secret_file = "/srv/jupyterhub/jupyterhub_cookie_secret"
c.JupyterHub.db_url = "sqlite:////srv/jupyterhub/jupyterhub.sqlite"
c.ConfigurableHTTPProxy.auth_token = "xK93-this-is-the-secret"
c.ConfigurableHTTPProxy.should_start = False
c.JupyterHub.spawner_class = "systemdspawner.SystemdSpawner"
c.SystemdSpawner.mem_limit = "4G"
c.SystemdSpawner.cpu_limit = 2.0
c.SystemdSpawner.isolate_tmp = True
c.SystemdSpawner.isolate_devices = True
c.SystemdSpawner.disable_user_sudo = True
c.SystemdSpawner.default_shell = "/bin/bash"
c.SystemdSpawner.dynamic_users = False
c.SystemdSpawner.unit_extra_properties = {"LimitNOFILE": "16384"}
c.Spawner.default_url = "/lab"
c.Spawner.notebook_dir = "~"
c.Spawner.args = ["--NotebookApp.allow_origin=*", "--debug"]
c.Spawner.env_keep = ["PATH", "LD_LIBRARY_PATH"]
c.Spawner.environment = {
    "CUDA_HOME": "/usr/local/cuda",
    "HF_TOKEN": "xK93-this-is-the-secret",
    "LATER": lambda s: s.user.name,
    "N": 4,
    "ON": True,
}
c.Spawner.start_timeout = 120
c.Spawner.http_timeout = 90
c.Spawner.oauth_client_allowed_scopes = ["access:services!service=reports"]
c.Spawner.ssl_alt_names = []
c.PAMAuthenticator.admin_groups = {"wheel"}
c.PAMAuthenticator.service = "login"
c.PAMAuthenticator.open_sessions = False
c.LocalAuthenticator.create_system_users = True
c.LocalAuthenticator.add_user_cmd = ["adduser", "-q", "--disabled-password"]
c.LocalAuthenticator.group_whitelist = {"students"}
c.Authenticator.whitelist = {"ada", "alan"}
c.Authenticator.admin_users = {"ada"}
c.Authenticator.delete_invalid_users = True
c.Authenticator.username_map = {"old-name": "new"}
c.JupyterHub.admin_access = True
c.JupyterHub.template_paths = ["/srv/templates"]
c.JupyterHub.template_vars = {
    "announcement": "Hello",
    "announcement_login": 'Closed on <b>Friday</b>. <a href="https://example.org/more" target="_blank">More</a>',
    "colour": "blue",
}
c.JupyterHub.logo_file = "/srv/logo.png"
c.JupyterHub.concurrent_spawn_limit = 20
c.JupyterHub.cleanup_servers = False
c.JupyterHub.allow_named_servers = True
c.JupyterHub.default_url = "/hub/home"
c.JupyterHub.tornado_settings = {"headers": {"Content-Security-Policy": "frame-ancestors *"}, "slow_spawn_timeout": 30}
c.Authenticator.post_auth_hook = lambda authenticator, handler, authentication: authentication
c.JupyterHub.services = [
    {
        "name": "idle-culler",
        "admin": True,
        "command": [
            "python3",
            "-m",
            "jupyterhub_idle_culler",
            "--timeout",
            "3600",
            "--max-age=86400",
            "--cull-every=300",
            "--concurrency=20",
            "--cull-users",
            "--remove-named-servers",
            "--cull-admin-users=false",
            "--api-page-size=200",
            "--url=http://127.0.0.1:8081/hub/api",
        ],
    }
]
