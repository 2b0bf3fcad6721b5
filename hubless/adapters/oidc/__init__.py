"""Logins at OpenID Connect providers and at GitHub. authlib, joserfc and urllib3 are imported at the first use."""
