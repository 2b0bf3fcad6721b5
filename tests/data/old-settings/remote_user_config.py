c.JupyterHub.bind_url = "http://127.0.0.1:8000/jupyter/"
c.JupyterHub.authenticator_class = "jhub_remote_user_authenticator.remote_user_auth.RemoteUserAuthenticator"
c.RemoteUserAuthenticator.header_name = "X-Forwarded-User"
c.Authenticator.admin_users = {"ada"}
c.Authenticator.allowed_users = {"alan"}
