"""What workflows are made of: the explicit list of every node type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowfuse.node import Catalogue, NodeType
from flowfuse.nodes.actions.approval import Approval
from flowfuse.nodes.actions.code import CodeAction
from flowfuse.nodes.actions.fail import FailAction
from flowfuse.nodes.actions.http_request import HttpRequest
from flowfuse.nodes.actions.log import LogAction
from flowfuse.nodes.actions.make_file import MakeFile
from flowfuse.nodes.actions.open_file import OpenFile
from flowfuse.nodes.actions.read_file import ReadFile
from flowfuse.nodes.actions.respond import Respond
from flowfuse.nodes.actions.run_workflow import RunWorkflow
from flowfuse.nodes.actions.save_file import SaveFile
from flowfuse.nodes.actions.wait import WaitAction
from flowfuse.nodes.actions.wait_for_call import WaitForCall
from flowfuse.nodes.conditions.if_else import If
from flowfuse.nodes.conditions.switch import Switch
from flowfuse.nodes.loops.for_each import ForEach
from flowfuse.nodes.loops.while_loop import While
from flowfuse.nodes.transforms.aggregate import Aggregate
from flowfuse.nodes.transforms.merge import Merge
from flowfuse.nodes.transforms.only_new import OnlyNew
from flowfuse.nodes.transforms.set import SetFields
from flowfuse.nodes.transforms.split_out import SplitOut
from flowfuse.nodes.triggers.error import ErrorTrigger
from flowfuse.nodes.triggers.manual import ManualTrigger
from flowfuse.nodes.triggers.schedule import ScheduleTrigger
from flowfuse.nodes.triggers.webhook import WebhookTrigger

if TYPE_CHECKING:
    from flowfuse.data.files import FileStore
    from flowfuse.data.seen import SeenItems
    from flowfuse.integrations.client import APIClient
    from flowfuse.integrations.folders import FolderGuard
    from flowfuse.sandbox.runner import CodeRunner


def catalogue(
    api: APIClient, code: CodeRunner, files: FileStore, folders: FolderGuard, seen: SeenItems
) -> Catalogue:
    """Every node type, with the tools it works with."""
    return Catalogue(
        [
            ManualTrigger(),
            WebhookTrigger(),
            ScheduleTrigger(),
            ErrorTrigger(),
            HttpRequest(api, files),
            CodeAction(code),
            ReadFile(files),
            MakeFile(files),
            OpenFile(files, folders),
            SaveFile(files, folders),
            Respond(),
            WaitAction(),
            WaitForCall(),
            Approval(),
            RunWorkflow(),
            LogAction(),
            FailAction(),
            If(),
            Switch(),
            ForEach(),
            While(),
            SetFields(),
            Aggregate(),
            SplitOut(),
            Merge(),
            OnlyNew(seen),
        ]
    )


def described() -> Catalogue:
    """Every node type for reading and checking documents, where nothing is run."""
    from flowfuse.integrations.addresses import AddressGuard
    from flowfuse.integrations.client import APIClient
    from flowfuse.sandbox.runner import CodeRunner

    nothing: Any = None
    return catalogue(APIClient(AddressGuard()), CodeRunner(), nothing, nothing, nothing)


def describe(node_type: NodeType) -> dict[str, Any]:
    """A node type as programs see it."""
    return {
        "type": node_type.type,
        "version": node_type.version,
        "family": node_type.family,
        "title": node_type.title,
        "summary": node_type.summary,
        "ports": node_type.ports,
        "effects": node_type.effects and not node_type.loop,
        "schema": node_type.schema,
        "output": node_type.output_schema,
        "fields": [
            {
                "name": f.name,
                "title": f.title,
                "description": f.description,
                "widget": f.widget,
                "kind": f.kind,
                "required": f.required,
                "default": f.default,
            }
            for f in node_type.fields
        ],
        "example": node_type.example,
    }
