from tornado import web
from kubespawner import KubeSpawner


class MySpawner(KubeSpawner):
    async def get_options_form(self):
        return "<select></select>"


def profiles(spawner):
    return []


async def custom_auth_hook(authenticator, handler, authentication):
    raise web.HTTPError(403)


c.JupyterHub.spawner_class = MySpawner
c.KubeSpawner.image = "quay.io/jupyter/base-notebook:1"
c.KubeSpawner.profile_list = profiles
c.KubeSpawner.cpu_limit = "500m"
c.KubeSpawner.mem_limit = "512Mi"
c.KubeSpawner.storage_pvc_ensure = True
c.KubeSpawner.volumes = [{"name": "v"}]
c.KubeSpawner.service_account = "hub"
c.Authenticator.post_auth_hook = custom_auth_hook
c.JupyterHub.authenticator_class = "oauthenticator.generic.GenericOAuthenticator"
c.GenericOAuthenticator.authorize_url = "https://login.microsoftonline.com/contoso/oauth2/v2.0/authorize"
c.GenericOAuthenticator.client_id = "abc"
c.GenericOAuthenticator.client_secret = "xK93-this-is-the-secret"
c.GenericOAuthenticator.username_claim = lambda info: info["email"].split("@")[0]
c.GenericOAuthenticator.allowed_groups = {"staff"}
c.GenericOAuthenticator.claim_groups_key = lambda info: info["groups"]
