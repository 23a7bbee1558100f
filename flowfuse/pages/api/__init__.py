"""/api/v1: one module per resource, over the services that the pages use too."""

from __future__ import annotations

from flowfuse.pages.api import credentials, executions, run, schedules, system, workflows

API = (
    workflows.list_workflows,
    workflows.create_workflow,
    workflows.validate_document,
    workflows.get_workflow,
    workflows.put_workflow,
    workflows.delete_workflow,
    workflows.operate,
    workflows.validate_workflow,
    workflows.publish,
    workflows.unpublish,
    workflows.list_versions,
    workflows.run_workflow,
    run.run_document,
    executions.list_executions,
    executions.get_execution,
    executions.list_events,
    executions.list_checkpoints,
    executions.restart,
    executions.pause,
    executions.resume,
    executions.cancel,
    executions.answer,
    schedules.list_schedules,
    schedules.preview_schedule,
    schedules.list_fires,
    schedules.pause_schedule,
    schedules.resume_schedule,
    credentials.list_credentials,
    credentials.create_credential,
    credentials.replace_credential,
    credentials.delete_credential,
    system.node_types,
    system.document_schema,
    system.make_link,
    system.health,
    system.ready,
)
