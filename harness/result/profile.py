"""Which conditions two measurements share: a machine profile with what bears on the figures, and without what is a mere fact."""

CALIBRATION_WITHIN = 1.25  # the best of two seconds, beside neighbours that keep both cores busy, varied by 1.25 (copy), 1.18 (call)


def kernel_line(release: str) -> str:
    """6.18 of 6.18.44-amd64: patch levels are no other machine."""
    return ".".join(release.replace("-", ".").split(".")[:2])


def conditions(profile: dict) -> dict:
    """What has to be the same where absolute figures are put together. Speeds are never the same: see speeds_apart()."""
    return {**{key: value for key, value in profile.items() if key != "calibration"}, "kernel": kernel_line(profile["kernel"])}


def speeds_apart(there: dict, here: dict) -> list[str]:
    """Where a machine of the same name is not as fast as it was: a neighbour, or another machine. Empty where one of the two
    was not calibrated."""
    one, other = there.get("calibration"), here.get("calibration")
    if not one or not other:
        return []
    units = {"system_call_ns": "{:.0f} ns for a system call", "memory_copy_gb_per_s": "{:.1f} GB/s copying memory"}
    return [f"calibration: {text.format(one[key])} there, {text.format(other[key])} here" for key, text in units.items()
            if max(one[key], other[key]) > CALIBRATION_WITHIN * min(one[key], other[key])]


def different(there: dict, here: dict) -> list[str]:
    """The keys of two objects that are not the same."""
    return [f"{key}: {there.get(key, 'none')} there, {here.get(key, 'none')} here"
            for key in sorted(there.keys() | here.keys()) if there.get(key) != here.get(key)]


def profiles_apart(there: dict, here: dict) -> list[str]:
    return different(conditions(there), conditions(here)) + speeds_apart(there, here)
