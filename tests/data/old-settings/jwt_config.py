c.JupyterHub.authenticator_class = "jwtauthenticator.jwtauthenticator.JSONWebTokenLocalAuthenticator"
c.JSONWebTokenAuthenticator.secret = "xK93-this-is-the-secret"
c.JSONWebTokenAuthenticator.signing_certificate = "/etc/jwt/adfs.crt"
c.JSONWebTokenAuthenticator.username_claim_field = "upn"
c.JSONWebTokenAuthenticator.expected_audience = "https://app.example.org/"
c.JSONWebTokenAuthenticator.header_name = "Authorization"
c.LocalAuthenticator.create_system_users = True
