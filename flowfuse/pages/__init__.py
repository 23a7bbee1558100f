"""Web Application, server half: the site's table of contents."""

from __future__ import annotations

from flowfuse.pages import demo, files, home, resume, runs, static, workflows
from flowfuse.pages.api import API
from flowfuse.pages.auth import sign_out, use_link
from flowfuse.pages.live import live

ROUTES = (
    home.home,
    workflows.workflow_page,
    runs.runs,
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
    use_link,
    sign_out,
    live,
    *API,
)
