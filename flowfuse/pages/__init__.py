"""Web Application, server half."""

from __future__ import annotations

from typing import Any


def routes() -> tuple[Any, ...]:
    """The site's table of contents. It is imported when the site is built: a webhook needs none of it."""
    from flowfuse.pages import (
        code,
        compare,
        demo,
        editor,
        files,
        home,
        parts,
        presence,
        resume,
        runs,
        sign_in,
        single_sign_on,
        static,
        versions,
    )
    from flowfuse.pages.api import API
    from flowfuse.pages.live import live

    return (
        home.home,
        editor.editor_page,
        editor.editor_delta,
        editor.palette_entries,
        editor.settings,
        editor.bench,
        editor.preview_field,
        editor.progress,
        parts.run_part_of,
        parts.read_document,
        presence.editors,
        versions.versions_page,
        versions.name_draft,
        versions.name_version,
        versions.restore_version,
        versions.export,
        versions.new_workflow,
        code.check_code,
        code.try_code,
        compare.compare_runs,
        runs.runs,
        runs.workflow_runs,
        runs.run_by_id,
        runs.run,
        runs.run_part,
        static.static_file,
        files.get_file,
        files.upload_file,
        demo.demo_orders,
        demo.demo_shipping,
        demo.demo_news,
        demo.demo_csv,
        resume.resume_by_call,
        sign_in.sign_in_page,
        sign_in.sign_in,
        sign_in.use_link,
        sign_in.accept_invitation,
        sign_in.sign_out,
        sign_in.setup_page,
        sign_in.set_up,
        single_sign_on.begin_single_sign_on,
        single_sign_on.finish_single_sign_on,
        live,
        *API,
    )
