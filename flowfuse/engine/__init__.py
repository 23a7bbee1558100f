"""Workflow Engine Service: plans, runs, their state, the queue and the validation."""
