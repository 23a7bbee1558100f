"""Integration Service: calls to the outside, credentials, webhooks."""
