from __future__ import annotations

import subprocess
import sys

OF_SERVERS = ("gateway.server", "gateway.demo")


def test_commands_that_start_nothing_import_no_server() -> None:
    code = (
        "import sys; from gateway.cli.main import main; main(['seal-key']);"
        f"print([name for name in sys.modules if name.startswith({OF_SERVERS!r})])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[1] == "[]"
