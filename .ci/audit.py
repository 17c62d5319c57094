"""Ask whether a pinned package has a known vulnerability: `python .ci/audit.py constraints.txt`, with pip-audit there.

Fails where there is one. Where the service does not answer, or knows none of the packages, it says so and passes.
"""

from __future__ import annotations

import json
import subprocess
import sys

LOUD = "!!! NOT AUDITED:"


def main(constraints: str) -> int:
    """Print what is known of the packages; return 1 where there is a vulnerability."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", constraints, "--no-deps", "--disable-pip"]
    try:
        done = subprocess.run([*command, "--format", "json"], capture_output=True, text=True, check=False, timeout=120)
        packages = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError) as error:
        print(f"{LOUD} pip-audit's service cannot be reached ({type(error).__name__})")
        return 0
    asked = [package for package in packages if "skip_reason" not in package]
    found = [(package, fault) for package in asked for fault in package.get("vulns", ())]
    for package, fault in found:
        print(f"{package['name']} {package['version']}: {fault['id']}, mended in {fault.get('fix_versions')}")
    if len(asked) < len(packages):
        print(f"{LOUD} pip-audit's service knows nothing of {len(packages) - len(asked)} of {len(packages)} packages")
    print(f"{len(asked)} pinned packages asked about, {len(found)} known vulnerabilities")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
