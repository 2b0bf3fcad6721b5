from samlauthenticator import SAMLAuthenticator

c.JupyterHub.authenticator_class = SAMLAuthenticator
c.SAMLAuthenticator.metadata_url = "https://idp.example.org/saml/metadata"
c.SAMLAuthenticator.xpath_username_location = "//saml:NameID/text()"
c.SAMLAuthenticator.create_system_users = False
