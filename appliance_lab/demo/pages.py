"""The pages of a demo that is left up: a made-up secretary, whose sheet is printed here since there is no safe."""

from __future__ import annotations

import json
import secrets

from appliance_lab.demo.context import ORIGIN, DemoContext
from appliance_lab.processes.node import free_ports

LOOPBACK = "127.0.0.1"
WHO, TITLE = "marie.dupont", "Marie Dupont"
WORDS = ["lavoir", "chêne", "clocher", "mairie", "verger", "moulin", "tilleul", "préau", "grange", "sentier"]
PASSWORD_WORDS = 4


def open_pages(context: DemoContext) -> list[str]:
    """Let a secretary in at commune A and serve its pages; what to type there."""
    origin = context.node(ORIGIN)
    password = " ".join(secrets.choice(WORDS) for _ in range(PASSWORD_WORDS))
    origin.cli("account", "add", WHO, "--title", TITLE, stdin=f"{password}\n".encode())
    codes = json.loads(origin.cli("--json", "account", "code-sheet", WHO).stdout)["codes"]
    port = free_ports(LOOPBACK, 1)[0]
    origin.start_portal(f"{LOOPBACK}:{port}")
    return [
        f"The pages of commune A, for its secretary: http://{LOOPBACK}:{port}/",
        f"  identifiant {WHO}, mot de passe « {password} », et un de ces codes, chacun une fois : {', '.join(codes)}",
    ]
