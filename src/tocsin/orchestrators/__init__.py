"""Workload managers: what schedules jobs on the nodes. The Orchestrator port."""
