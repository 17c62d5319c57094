"""Print the requirements of an installed `flairlite[all]`, one a line, without torch, whose packages take gigabytes."""

from importlib.metadata import requires

from pip._vendor.packaging.requirements import Requirement


def main() -> None:
    """Print the requirements of this Python that apply without extras or with those that `all` names."""
    found = [Requirement(line) for line in requires("flairlite") or ()]
    (extras,) = [each.extras for each in found if each.name == "flairlite" and each.marker.evaluate({"extra": "all"})]
    for each in found:
        applies = each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in ("", *extras))
        if applies and each.name not in ("flairlite", "torch"):
            each.marker = None
            print(each)


if __name__ == "__main__":
    main()
