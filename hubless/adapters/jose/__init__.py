"""Signed tokens of others (JOSE: RFC 7515 to 7519): fetch their keys, and validate what they signed.

All logins with signed tokens share this: OpenID Connect, LTI, proxies that log in, and workloads. joserfc and urllib3
are imported at the first use, because most requests log nobody in.
"""
