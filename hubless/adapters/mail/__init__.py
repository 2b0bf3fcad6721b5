"""Mailers: SMTP, Amazon SES, and one for a hub that sends no mail."""
