import os

c = get_config()
c.JupyterHub.authenticator_class = "ltiauthenticator.lti13.auth.LTI13Authenticator"
c.LTI13Authenticator.client_id = {os.environ["LTI13_CLIENT_ID"]}
c.LTI13Authenticator.issuer = os.getenv("LTI13_ISSUER", "https://lms.d2l.example")
c.LTI13Authenticator.authorize_url = os.getenv("LTI13_AUTHORIZE_URL", "https://lms.d2l.example/d2l/lti/authenticate")
c.LTI13Authenticator.jwks_endpoint = os.getenv("LTI13_JWKS_ENDPOINT", "https://lms.d2l.example/d2l/.well-known/jwks")
c.LTI13Authenticator.username_key = "given_name"
c.Authenticator.enable_auth_state = True
c.Application.log_level = "DEBUG"
