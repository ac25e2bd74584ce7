"""Sites: an nginx of its own serves each at its address, and another one its copy at each standby."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from appliance.failover.forms.files import Files
from appliance.failover.forms.form import HANDOVER_SECONDS
from appliance.node.movable_services import MovableService
from appliance.territory.model import SITES, Service, Territory
from appliance.territory.service_forms import SITE, copy_port

COPY_FOLDER, COPY_GENERATION = "/srv/copy", "/srv/generation"
"""As the unit of a copy sees them, which sees nothing else below /srv."""


class Site(Files):
    service_form = SITE
    staging = SITES
    handover_seconds: int | None = HANDOVER_SECONDS
    closes_while_held = True
    folders: ClassVar[Mapping[str, str]] = {}

    def configs(self, territory: Territory, node: str, service: Service) -> Mapping[str, str]:
        site = _nginx(f"{SITE.unit}-{service.name}", f"{service.address}:{SITE.port}", service.paths[0])
        copy = _nginx(
            f"{SITE.copy}-{service.name}",
            f"{territory.node(node).mesh}:{copy_port(service)}",
            COPY_FOLDER,
            f"location = /.generation {{ alias {COPY_GENERATION}; default_type text/plain; }}",
        )
        return {"conf": site, "copy.conf": copy}

    def environment(self, territory: Territory, node: str, service: Service) -> Mapping[str, object]:
        """Where its programs listen, and what is made read-only."""
        return {
            "FOLDER": service.paths[0],
            "ADDRESS": service.address,
            "PORT": SITE.port,
            "COPY_ADDRESS": territory.node(node).mesh,
            "COPY_PORT": copy_port(service),
        }

    async def probe(self, service: str, plan: MovableService, *, held: bool) -> bool:
        """A page that is missing is an answer; a disk that cannot be read is none."""
        from appliance.failover.forms import probes

        return await probes.answers_browser(plan.address, plan.port)


def _nginx(run: str, listen: str, folder: str, *more: str) -> str:
    """Links are not followed: who may put files into a site may not publish others."""
    temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return "\n".join(
        [
            "worker_processes 1;",
            f"pid /run/{run}/pid;",
            "error_log stderr warn;",
            "events {}",
            "http {",
            "    access_log off;",
            "    server_tokens off;",
            "    sendfile on;",
            "    include /etc/nginx/mime.types;",
            "    default_type application/octet-stream;",
            *(f"    {it}_temp_path /run/{run}/{it};" for it in temporary),
            "    server {",
            f"        listen {listen};",
            f"        root {folder};",
            "        charset utf-8;",
            "        disable_symlinks on;",
            "        location / { limit_except GET { deny all; } }",
            *(f"        {line}" for line in more),
            "    }",
            "}",
            "",
        ]
    )
