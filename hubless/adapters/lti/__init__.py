"""LTI 1.3 on joserfc: messages of an LMS, the hub's own keys, and the services of an LMS.

joserfc and urllib3 are imported at the first use, because few requests come from an LMS.
"""
