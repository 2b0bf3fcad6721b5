c.JupyterHub.authenticator_class = "jhub_cas_authenticator.cas_auth.CASAuthenticator"
c.CASAuthenticator.cas_login_url = "https://cas.example.org/cas/login"
c.CASAuthenticator.cas_service_validate_url = "https://cas.example.org/cas/p3/serviceValidate"
c.CASAuthenticator.cas_client_ca_certs = "/etc/ssl/ca.crt"
