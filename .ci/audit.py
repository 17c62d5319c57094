"""Check the pinned packages for known vulnerabilities: `python .ci/audit.py constraints.txt`; needs pip-audit.

Exits with 1 if there is a vulnerability. If the service is unreachable or does not know a package, prints a warning and
exits with 0.
"""

from __future__ import annotations

import json
import subprocess
import sys

NOT_AUDITED = "!!! NOT AUDITED:"


def main(constraints: str) -> int:
    """Print the vulnerabilities; return 1 if there is one, else 0."""
    options = ["--requirement", constraints, "--no-deps", "--disable-pip", "--format", "json"]
    command = [sys.executable, "-m", "pip_audit", *options]
    try:
        process = subprocess.run(
            [*command, "--format", "json"], capture_output=True, text=True, check=False, timeout=120
        )
        packages = json.loads(process.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError) as error:
        print(f"{NOT_AUDITED} the service cannot be reached ({type(error).__name__})")
        return 0
    audited = [package for package in packages if "skip_reason" not in package]
    found = [(package, vulnerability) for package in audited for vulnerability in package.get("vulns", ())]
    for package, vulnerability in found:
        print(
            f"{package['name']} {package['version']}: {vulnerability['id']}, fixed in {vulnerability.get('fix_versions')}"
        )
    if len(audited) < len(packages):
        print(f"{NOT_AUDITED} the service does not know {len(packages) - len(audited)} of {len(packages)} packages")
    print(f"{len(audited)} pinned packages audited, {len(found)} known vulnerabilities")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
